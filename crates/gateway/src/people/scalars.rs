//! The scalars of people's details. Their form is checked where they are written, so that the error is a user error.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

/// Declares a scalar that is a text.
macro_rules! text_scalar {
    ($(#[$doc:meta])* $name:ident, $public:literal, $specification:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub String);

        $(#[$doc])*
        #[Scalar(name = $public, specified_by_url = $specification)]
        impl ScalarType for $name {
            fn parse(value: Value) -> InputValueResult<Self> {
                match value {
                    Value::String(text) => Ok(Self(text)),
                    other => Err(InputValueError::expected_type(other)),
                }
            }

            fn to_value(&self) -> Value {
                Value::String(self.0.clone())
            }
        }
    };
}

text_scalar! {
    /// An e-mail address, such as `ada@example.com`.
    EmailAddress, "EmailAddress", "https://www.rfc-editor.org/rfc/rfc5321#section-4.1.2"
}

text_scalar! {
    /// The IANA name of a time zone, such as `Europe/Vienna`.
    TimeZone, "TimeZone", "https://www.rfc-editor.org/rfc/rfc6557"
}

text_scalar! {
    /// A web address, such as `https://example.com/ada.png`.
    Url, "URL", "https://url.spec.whatwg.org/#url-writing"
}
