//! What type a file says that it is, and whether its bytes agree.
//!
//! A file is only ever handed out to be saved, so this is no protection of whoever opens it: it keeps what is listed true, and
//! programs out.

use infer::MatcherType;
use kernel::UserError;

/// How many characters a media type has at most, without parameters.
pub const MAX_MEDIA_TYPE: usize = 127;
/// The type of what nobody knows the type of.
pub const UNKNOWN: &str = "application/octet-stream";

/// Types whose bytes begin in a way that everybody knows: a file of such a type that does not begin so is none.
const SIGNED: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "video/mp4",
];

/// Types that programs have.
const PROGRAMS: &[&str] = &[
    "application/vnd.microsoft.portable-executable",
    "application/x-dosexec",
    "application/x-executable",
    "application/x-mach-binary",
    "application/x-msdos-program",
    "application/x-msdownload",
    "application/x-msi",
    "application/x-sharedlib",
];

/// A media type as it is kept: in lower case, without parameters, and with one name for each type. `None` for what is no media type.
pub fn normalised(text: &str) -> Option<String> {
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let (top, sub) = essence.split_once('/')?;
    if essence.len() > MAX_MEDIA_TYPE || !is_token(top) || !is_token(sub) {
        return None;
    }
    Some(match essence.as_str() {
        "image/jpg" | "image/pjpeg" => "image/jpeg".to_owned(),
        "application/x-gzip" => "application/gzip".to_owned(),
        "application/x-zip-compressed" | "application/x-zip" => "application/zip".to_owned(),
        "application/x-pdf" => "application/pdf".to_owned(),
        _ => essence,
    })
}

/// Whether files of this type are taken at all. `allowed` names types, or with `image/*` all of a kind; empty allows all but programs.
pub fn is_taken(media_type: &str, allowed: &[String]) -> bool {
    let fits = |pattern: &String| match pattern.strip_suffix("/*") {
        Some(top) => media_type.split('/').next() == Some(top),
        None => pattern == media_type,
    };
    !PROGRAMS.contains(&media_type) && (allowed.is_empty() || allowed.iter().any(fits))
}

/// Refuses a file whose first bytes are not of the type that was announced.
///
/// # Errors
/// `VALIDATION` at `mediaType`.
pub fn check_bytes(announced: &str, head: &[u8]) -> Result<(), UserError> {
    let lie = |message: String| Err(UserError::constraint(["mediaType"], message, "mediaType", None));
    let found = infer::get(head);
    if found.is_some_and(|found| found.matcher_type() == MatcherType::App) {
        return lie("the file is a program; programs are not taken".to_owned());
    }
    let agrees = match found {
        _ if announced == UNKNOWN => true,
        Some(found) => is_like(announced, &normalised(found.mime_type()).unwrap_or_default()),
        None => !SIGNED.contains(&announced),
    };
    if !agrees {
        let found = found.map_or("something else", |found| found.mime_type());
        return lie(format!("the file was announced as {announced}, and its bytes are those of {found}"));
    }
    if is_text(announced) && head.contains(&0) && !is_utf16(head) {
        return lie(format!("the file was announced as {announced}, and has bytes that no text has"));
    }
    Ok(())
}

/// Whether a file that begins like `found` may be of the type that was announced.
fn is_like(announced: &str, found: &str) -> bool {
    if announced == found || is_text(announced) && is_text(found) {
        return true;
    }
    if let Some(kind) = container(announced) {
        return container(found) == Some(kind);
    }
    // How files of other types begin nobody knows.
    !is_text(announced) && !SIGNED.contains(&announced) && !infer::is_mime_supported(announced)
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml")
        || ["application/json", "application/xml", "application/x-ndjson", "application/yaml"].contains(&media_type)
}

fn is_utf16(head: &[u8]) -> bool {
    head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff])
}

/// The form of file that types are made of which cannot be told from each other by how they begin.
fn container(media_type: &str) -> Option<&'static str> {
    let is_zip = media_type == "application/zip"
        || media_type == "application/java-archive"
        || media_type == "application/epub+zip"
        || media_type.starts_with("application/vnd.openxmlformats-officedocument.")
        || media_type.starts_with("application/vnd.oasis.opendocument.");
    let is_ole = media_type == "application/msword"
        || media_type == "application/x-ole-storage"
        || ["application/vnd.ms-excel", "application/vnd.ms-powerpoint", "application/vnd.ms-outlook"]
            .contains(&media_type);
    let is_iso = media_type == "video/mp4"
        || media_type == "video/quicktime"
        || media_type == "audio/mp4"
        || media_type == "video/x-m4v"
        || media_type == "audio/m4a";
    match () {
        () if is_zip => Some("zip"),
        () if is_ole => Some("ole"),
        () if is_iso => Some("iso"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const PDF: &[u8] = b"%PDF-1.7\n";
    const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0";
    const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn types_have_one_name() {
        assert_eq!(normalised("Text/Plain; charset=utf-8").as_deref(), Some("text/plain"));
        assert_eq!(normalised("image/jpg").as_deref(), Some("image/jpeg"));
        assert_eq!(normalised("image/svg+xml").as_deref(), Some("image/svg+xml"));
        for none in ["", "text", "text/", "/plain", "text/pl ain", "text/plain\r\nx: y", "ä/b", "a/b/c"] {
            assert_eq!(normalised(none), None, "{none:?}");
        }
        assert_eq!(normalised(&format!("a/{}", "b".repeat(MAX_MEDIA_TYPE))), None);
    }

    #[test]
    fn bytes_agree_with_the_type() {
        let agrees = |announced: &str, head: &[u8]| check_bytes(announced, head).is_ok();
        assert!(agrees("image/png", PNG) && agrees("application/pdf", PDF) && agrees("application/zip", ZIP));
        assert!(agrees("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ZIP));
        assert!(agrees("text/plain", "größer".as_bytes()) && agrees("text/plain", b"caf\xe9 in Latin-1"));
        assert!(agrees("text/csv", b"\xff\xfea\0,\0b\0") && agrees("application/json", b"{}"));
        assert!(agrees("text/plain", b"<!DOCTYPE html><html>"), "a page is a text too");
        assert!(
            agrees(UNKNOWN, PNG) && agrees("application/vnd.acme", PNG),
            "nobody knows what such a file begins with"
        );
        assert!(!agrees("image/png", PDF) && !agrees("image/png", b"hello") && !agrees("application/pdf", ZIP));
        assert!(!agrees("text/plain", PNG) && !agrees("text/plain", b"a\0b"));
        assert!(!agrees("image/jpeg", PNG) && !agrees("application/zip", b"PK"));
    }

    #[test]
    fn programs_are_not_taken() {
        for announced in [UNKNOWN, "text/plain", "application/x-executable", "application/vnd.acme"] {
            assert!(check_bytes(announced, ELF).is_err(), "{announced}");
        }
        assert!(!is_taken("application/x-msdownload", &[]) && is_taken("text/plain", &[]));
    }

    #[test]
    fn a_list_says_what_is_taken() {
        let allowed = ["image/*".to_owned(), "application/pdf".to_owned()];
        let taken = |media_type| is_taken(media_type, &allowed);
        assert!(taken("image/png") && taken("application/pdf") && !taken("text/plain") && !taken("imagex/png"));
        assert!(!is_taken("application/x-msi", &["application/x-msi".to_owned()]), "a program is never taken");
    }
}
