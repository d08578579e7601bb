//! What holds for a folder holds for a bucket: each test runs over both, the bucket behind a real server that checks signatures.

use std::path::Path as FilePath;

use futures_util::stream;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use kernel::UserError;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;

const BUCKET: &str = "files";
const ACCESS_KEY: &str = "AKIADESKWIRE";
const SECRET_KEY: &str = "a secret of the tests";

/// A store, and the folder that it keeps its objects in.
struct World {
    objects: Objects,
    folder: TempDir,
}

async fn worlds() -> Vec<World> {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(&ObjectsConfig::Folder(folder.path().join("files"))).unwrap();
    vec![World { objects, folder }, bucket(SECRET_KEY).await]
}

/// A bucket of a server that knows one key, asked with this secret.
async fn bucket(secret: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
    let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    let config = S3Config {
        bucket: BUCKET.into(),
        endpoint,
        region: "us-east-1".into(),
        access_key_id: ACCESS_KEY.into(),
        secret_access_key: secret.into(),
        path_style: true,
    };
    World { objects: Objects::open(&ObjectsConfig::S3(config)).unwrap(), folder }
}

fn key(number: u128) -> Key {
    Key::new(Uuid::from_u128(7), Uuid::from_u128(number))
}

fn promise(of: &[u8]) -> Promise {
    Promise { bytes: of.len() as u64, sha256: Sha256Hex::of(of) }
}

/// A body in chunks that fit nothing.
fn body(of: &[u8]) -> impl Stream<Item = Result<Bytes>> + Send + Unpin + use<> {
    let chunks: Vec<_> = of.chunks(70_001).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    stream::iter(chunks)
}

fn anything(_: &[u8]) -> Result<()> {
    Ok(())
}

async fn read(objects: &Objects, key: &Key) -> Result<Vec<u8>> {
    let mut reading = objects.read(key).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = reading.body.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    assert_eq!(reading.bytes, bytes.len() as u64);
    Ok(bytes)
}

/// How many files lie below a folder, the server's own notes apart.
fn files_below(folder: &FilePath) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let ours = entries.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    ours.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn what_was_promised_is_kept_and_read_again() {
    for world in worlds().await {
        let objects = &world.objects;
        // One that fits into a part, one of several parts, one that ends with a part.
        for (number, size) in [(1, 1), (2, 2 * PART_BYTES + 12_345), (3, PART_BYTES)] {
            let bytes: Vec<u8> = (0..size).map(|place| (place % 251) as u8).collect();
            objects.put(&key(number), &promise(&bytes), anything, body(&bytes)).await.unwrap();
            assert!(read(objects, &key(number)).await.unwrap() == bytes, "{size}");
        }
        let again = b"something else".as_slice();
        objects.put(&key(1), &promise(again), anything, body(again)).await.unwrap();
        assert_eq!(read(objects, &key(1)).await.unwrap(), again);
        assert_eq!(files_below(world.folder.path()), 3);
        for number in [1, 2, 3, 1, 9] {
            objects.delete(&key(number)).await.unwrap();
        }
        assert_eq!(read(objects, &key(1)).await.unwrap_err().code(), ErrorCode::NotFound);
        assert_eq!(files_below(world.folder.path()), 0);
    }
}

#[tokio::test]
async fn an_object_is_read_from_any_byte_on() {
    for world in worlds().await {
        let objects = &world.objects;
        let bytes: Vec<u8> = (0..300_000).map(|place| (place % 251) as u8).collect();
        objects.put(&key(1), &promise(&bytes), anything, body(&bytes)).await.unwrap();
        for offset in [0, 1, 123_456, bytes.len() - 1, bytes.len(), bytes.len() + 1] {
            let mut reading = objects.read_from(&key(1), offset as u64).await.unwrap();
            let mut read = Vec::new();
            while let Some(chunk) = reading.body.next().await {
                read.extend_from_slice(&chunk.unwrap());
            }
            assert!(read == bytes.get(offset..).unwrap_or_default(), "{offset}");
            assert_eq!(reading.bytes, read.len() as u64);
        }
        assert_eq!(objects.read_from(&key(2), 1).await.err().unwrap().code(), ErrorCode::NotFound);
    }
}

#[test]
fn a_checksum_is_put_down_and_taken_up_anywhere() {
    let bytes: Vec<u8> = (0..300).map(|place| (place % 251) as u8).collect();
    for cut in 0..bytes.len() {
        let mut first = RollingSha256::default();
        first.take(&bytes[..cut]);
        let mut second = RollingSha256::take_up(&first.put_down()).unwrap();
        second.take(&bytes[cut..]);
        assert_eq!(second.end(), Sha256Hex::of(&bytes), "{cut}");
    }
    for text in ["", "zz", "00", &"0".repeat(63), &RollingSha256::default().put_down()[1..]] {
        assert!(RollingSha256::take_up(text).is_none(), "{text}");
    }
}

#[tokio::test]
async fn what_was_not_promised_is_refused_and_leaves_nothing() {
    for world in worlds().await {
        let objects = &world.objects;
        let bytes: Vec<u8> = (0..PART_BYTES + 70_000).map(|place| (place % 251) as u8).collect();
        let (shorter, longer) = (&bytes[..bytes.len() - 1], [bytes.as_slice(), b"x"].concat());
        let mut other = bytes.clone();
        other[0] = 255;
        for (sent, path) in [(shorter, "bytes"), (&longer, "bytes"), (&other, "sha256")] {
            let error = objects.put(&key(1), &promise(&bytes), anything, body(sent)).await.unwrap_err();
            let Error::Refused(errors) = error else { panic!("{error}") };
            assert_eq!(errors.into_iter().flat_map(|error| error.path).collect::<Vec<_>>(), [path]);
        }
        assert_eq!(read(objects, &key(1)).await.unwrap_err().code(), ErrorCode::NotFound);
        assert_eq!(files_below(world.folder.path()), 0);
    }
}

#[tokio::test]
async fn who_inspects_sees_the_head_and_may_refuse() {
    for world in worlds().await {
        let bytes = vec![7; 3 * HEAD_BYTES];
        for (size, shown) in [(5, 5), (HEAD_BYTES, HEAD_BYTES), (3 * HEAD_BYTES, HEAD_BYTES)] {
            let inspect = |head: &[u8]| match head.len() == shown {
                true => Err(UserError::validation(["mediaType"], "seen").into()),
                false => Ok(()),
            };
            let sent = &bytes[..size];
            let chunks: Vec<_> = sent.chunks(1_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            let put = world.objects.put(&key(1), &promise(sent), inspect, stream::iter(chunks)).await;
            assert!(put.unwrap_err().to_string().contains("seen"), "{size}");
        }
        assert_eq!(files_below(world.folder.path()), 0);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_what_was_there() {
    for world in worlds().await {
        let bytes = b"whole".as_slice();
        world.objects.put(&key(1), &promise(bytes), anything, body(bytes)).await.unwrap();
        let broken = stream::iter([
            Ok(Bytes::from_static(b"ha")),
            Err(Error::request(ErrorCode::BadRequest, "the body broke off")),
        ]);
        let put = world.objects.put(&key(1), &promise(b"half"), anything, broken).await;
        assert_eq!(put.unwrap_err().code(), ErrorCode::BadRequest);
        assert_eq!(read(&world.objects, &key(1)).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_store_that_fails_is_said_to_be_unavailable() {
    let world = bucket("another secret").await;
    let put = world.objects.put(&key(1), &promise(b"x"), anything, body(b"x")).await;
    assert_eq!(put.unwrap_err().code(), ErrorCode::Unavailable);
    assert_eq!(read(&world.objects, &key(1)).await.unwrap_err().code(), ErrorCode::Unavailable);
}

#[test]
fn a_checksum_is_read_and_written() {
    let text = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(Sha256Hex::of(b"hello").to_string(), text);
    assert_eq!(Sha256Hex::parse(&text.to_uppercase()), Some(Sha256Hex::of(b"hello")));
    for none in ["", &text[1..], &format!("{text}0"), &text.replace('2', "g"), &text.replace("2c", "+c")] {
        assert_eq!(Sha256Hex::parse(none), None, "{none}");
    }
}

#[test]
fn a_folder_that_cannot_be_is_refused_at_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Objects::open(&ObjectsConfig::Folder(file.path().join("below"))).unwrap_err();
    assert!(error.to_string().contains("cannot be used for files"), "{error}");
}

#[test]
fn a_secret_is_never_shown() {
    let config = S3Config {
        bucket: BUCKET.into(),
        endpoint: String::new(),
        region: "us-east-1".into(),
        access_key_id: ACCESS_KEY.into(),
        secret_access_key: SECRET_KEY.into(),
        path_style: true,
    };
    let shown = format!("{config:?}");
    assert!(shown.contains(BUCKET) && !shown.contains(SECRET_KEY) && !shown.contains(ACCESS_KEY), "{shown}");
}
