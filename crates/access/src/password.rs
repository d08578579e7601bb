//! Passwords: hashed with argon2id, on a bounded pool of threads, so that a flood of sign-ins cannot take the
//! machine's memory or starve the runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use kernel::{Error, ErrorCode, Result, UserError, random};
use tokio::sync::Semaphore;

/// The shortest password, in bytes.
pub const MIN_PASSWORD_BYTES: usize = 8;
/// The longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 1024;
/// How many passwords are hashed at once.
pub const PASSWORD_WORKERS: usize = 2;
/// How many more may wait for a worker; the next is told to come back.
pub const PASSWORD_QUEUE: usize = 64;

const SALT_BYTES: usize = 16;

/// What one hash costs. The default is the first recommendation of OWASP for argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2, parallelism: 1 }
    }
}

/// Checks the length of a new password, at least `shortest` bytes.
///
/// # Errors
/// A `VALIDATION` or `LIMIT` user error at `password`.
pub(crate) fn check(password: &str, shortest: usize) -> Result<()> {
    if password.len() < shortest {
        let message = format!("the password is too short; it needs at least {shortest} bytes");
        let limit = Some(shortest as u64);
        return Err(UserError::constraint(["password"], message, "minLength", limit).into());
    }
    if password.len() > MAX_PASSWORD_BYTES {
        let message = format!("the password is too long; it may have at most {MAX_PASSWORD_BYTES} bytes");
        return Err(UserError::limit(["password"], message, MAX_PASSWORD_BYTES as u64).into());
    }
    Ok(())
}

/// Hashes and verifies passwords, a few at a time.
#[derive(Clone)]
pub(crate) struct PasswordPool {
    argon2: Argon2<'static>,
    workers: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
    most_inside: usize,
    /// What unknown users are verified against, so that they take as long as known ones.
    decoy: Arc<str>,
}

impl PasswordPool {
    /// A pool that works at this cost with so many workers and waiting places.
    pub fn new(cost: PasswordCost, workers: usize, queue: usize) -> Result<Self> {
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None).map_err(Error::internal)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash_with(&argon2, &random::bytes::<32>())?;
        Ok(Self {
            argon2,
            workers: Arc::new(Semaphore::new(workers)),
            inside: Arc::default(),
            most_inside: workers + queue,
            decoy: decoy.into(),
        })
    }

    /// The hash of a new password, as a PHC string.
    ///
    /// # Errors
    /// `UNAVAILABLE` when too many wait already.
    pub async fn hash(&self, password: String) -> Result<String> {
        let argon2 = self.argon2.clone();
        self.run(move || hash_with(&argon2, password.as_bytes())).await?
    }

    /// Whether the password belongs to the hash. Without a hash, the same work is done and the answer is no.
    ///
    /// # Errors
    /// `UNAVAILABLE` when too many wait already.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        if password.len() > MAX_PASSWORD_BYTES {
            return Ok(false);
        }
        let argon2 = self.argon2.clone();
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.to_string());
        self.run(move || {
            let hash = PasswordHash::new(&hash).map_err(Error::internal)?;
            Ok(argon2.verify_password(password.as_bytes(), &hash).is_ok() && known)
        })
        .await?
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = Place::take(&self.inside, self.most_inside).ok_or_else(|| {
            Error::request(ErrorCode::Unavailable, "too many sign-ins at once; try again in a moment")
        })?;
        let worker = Arc::clone(&self.workers).acquire_owned().await.map_err(Error::internal)?;
        // Both go with the work: a caller that gives up does not make room for more than the machine can do.
        tokio::task::spawn_blocking(move || {
            let _held = (place, worker);
            work()
        })
        .await
        .map_err(Error::internal)
    }
}

fn hash_with(argon2: &Argon2<'_>, password: &[u8]) -> Result<String> {
    let hash = argon2.hash_password_with_salt(password, &random::bytes::<SALT_BYTES>()).map_err(Error::internal)?;
    Ok(hash.to_string())
}

/// A place in the pool, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(inside: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let enter = |count: usize| (count < most).then_some(count + 1);
        inside.try_update(Ordering::AcqRel, Ordering::Acquire, enter).ok()?;
        Some(Self(Arc::clone(inside)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: PasswordCost = PasswordCost { memory_kib: 8, iterations: 1, parallelism: 1 };

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let pool = PasswordPool::new(CHEAP, 1, 1).unwrap();
        let hash = pool.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert!(pool.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!pool.verify("wrong horse".into(), Some(hash)).await.unwrap());
        assert!(!pool.verify("correct horse".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn salts_differ() {
        let pool = PasswordPool::new(CHEAP, 1, 1).unwrap();
        let hashes =
            [pool.hash("correct horse".into()).await.unwrap(), pool.hash("correct horse".into()).await.unwrap()];
        assert_ne!(hashes[0], hashes[1]);
    }

    #[tokio::test]
    async fn a_full_queue_is_told_at_once() {
        let pool = PasswordPool::new(CHEAP, 1, 1).unwrap();
        let _places = [Place::take(&pool.inside, 2).unwrap(), Place::take(&pool.inside, 2).unwrap()];
        assert_eq!(pool.hash("correct horse".into()).await.unwrap_err().code(), ErrorCode::Unavailable);
        drop(_places);
        assert!(pool.hash("correct horse".into()).await.is_ok());
    }

    #[test]
    fn lengths_are_bounded() {
        for (length, fine) in [(7, false), (8, true), (1024, true), (1025, false)] {
            assert_eq!(check(&"x".repeat(length), MIN_PASSWORD_BYTES).is_ok(), fine, "{length} bytes");
        }
    }

    #[test]
    fn the_default_cost_is_the_recommended_one() {
        assert_eq!(PasswordCost::default(), PasswordCost { memory_kib: 19_456, iterations: 2, parallelism: 1 });
    }
}
