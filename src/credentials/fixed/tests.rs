use super::*;
use std::io::Write;

fn token(identity: Identity) -> String {
    match identity {
        Identity::Token(token) => token,
        Identity::Anonymous | Identity::UserPassword { .. } => panic!("not a token"),
    }
}

#[tokio::test]
async fn a_token_file_is_read_anew_and_without_its_line_end() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let credentials = CredentialSettings::Token(SecretSource::File(file.path().into())).build();
    file.write_all(b"first\n").unwrap();
    assert_eq!(token(credentials.identity().await.unwrap()), "first");
    std::fs::write(file.path(), "second\r\n").unwrap();
    assert_eq!(token(credentials.identity().await.unwrap()), "second");
}

#[tokio::test]
async fn a_missing_file_is_named_in_the_error() {
    let settings = CredentialSettings::UserPassword {
        user: "device".into(),
        password: SecretSource::File("/nonexistent/password".into()),
    };
    let error = settings.build().identity().await.err().unwrap().to_string();
    assert!(error.contains("/nonexistent/password"), "{error}");
}

#[tokio::test]
async fn an_empty_file_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "\n").unwrap();
    let credentials = CredentialSettings::Token(SecretSource::File(file.path().into())).build();
    assert!(credentials.identity().await.err().unwrap().to_string().contains("empty"));
}

#[tokio::test]
async fn a_file_without_end_is_refused() {
    let credentials = CredentialSettings::Token(SecretSource::File("/dev/zero".into())).build();
    assert!(credentials.identity().await.err().unwrap().to_string().contains("larger"));
}

#[tokio::test]
async fn without_credentials_nobody_is_presented() {
    assert!(CredentialSettings::None.build().identity().await.unwrap() == Identity::Anonymous);
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!(
        "{:?} {:?}",
        CredentialSettings::Token(SecretSource::Value("s3cret".into())),
        CredentialSettings::UserPassword {
            user: "device".into(),
            password: SecretSource::Value("s3cret".into())
        }
    );
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("device"), "{shown}");
}
