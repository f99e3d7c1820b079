//! The devices that a target has from the start: a CSV list, with the credentials of each row.
//!
//! A row without any has an access token that the target draws. A row with two kinds is a fault:
//! a device has one.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Failure;
use crate::inventory::{Inventory, ListOptions, line, load_csv};
use crate::model::{Credentials, DeviceIx};
use crate::target::Listed;

/// Reads the column `name` and those of [`COLUMNS`] that are there; an empty cell is none. The
/// devices belong to the profile at this position.
pub(super) fn listed(path: &Path, profile: usize) -> Result<Vec<Listed>, Failure> {
    let list = load_csv(
        path,
        &ListOptions {
            name_column: "name",
            keep: &[],
            keep_if_there: &COLUMNS.map(str::to_owned),
        },
    )
    .map_err(Failure::usage)?;
    let positions = COLUMNS.map(|name| list.columns().iter().position(|column| column == name));
    let devices = u32::try_from(list.len()).expect("the inventory refuses longer lists");
    (0..devices)
        .map(DeviceIx)
        .map(|ix| {
            let [cells @ .., flag] = cells(&list, ix, positions);
            let told = credentials(cells).and_then(|told| Ok((told, gateway(flag)?)));
            let (credentials, gateway) = told.map_err(|fault| {
                let line = line(path, ix).map_or(String::new(), |line| format!(":{line}"));
                Failure::usage(format!("{}{line}: {fault}", path.display()))
            })?;
            Ok(Listed {
                name: list.name(ix).to_owned(),
                profile,
                credentials,
                gateway,
                provisioned: false,
            })
        })
        .collect()
}

/// What the row says in each of [`COLUMNS`].
fn cells(list: &Inventory, ix: DeviceIx, positions: [Option<usize>; 7]) -> [&str; 7] {
    positions.map(|position| position.map_or("", |column| list.value(ix, column)))
}

fn credentials(cells: [&str; 6]) -> Result<Option<Credentials>, String> {
    let [token, other, client_id, username, password, file] = cells;
    if !token.is_empty() && !other.is_empty() {
        return Err(TWO_TOKENS.to_owned());
    }
    let token = if token.is_empty() { other } else { token };
    let basic = [client_id, username, password] != [""; 3];
    let kinds = [!token.is_empty(), basic, !file.is_empty()];
    if kinds.iter().filter(|there| **there).count() > 1 {
        return Err(TWO_KINDS.to_owned());
    }
    if username.is_empty() && !password.is_empty() {
        return Err(LONE_PASSWORD.to_owned());
    }
    Ok(if !token.is_empty() {
        Some(Credentials::AccessToken(token.into()))
    } else if basic {
        Some(Credentials::mqtt_basic(client_id, username, password))
    } else if file.is_empty() {
        None
    } else {
        let leaf = CertificateDer::from_pem_file(file).map_err(|error| {
            format!("{file}: {error}\nhelp: `certificate_file` is a PEM file, the device's certificate first")
        })?;
        Some(Credentials::X509 {
            certificate: STANDARD.encode(&leaf),
        })
    })
}

/// Whether it is a gateway; an empty cell is none.
fn gateway(cell: &str) -> Result<bool, String> {
    match cell.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(NO_FLAG.to_owned()),
    }
}

/// The columns that hold credentials, and last whether it is a gateway.
const COLUMNS: [&str; 7] = [
    "access_token",
    "token",
    "client_id",
    "username",
    "password",
    "certificate_file",
    "gateway",
];

const TWO_KINDS: &str = "the device has credentials of two kinds\n\
    help: fill in `access_token`, or `client_id`, `username` and `password`, or `certificate_file`";

const TWO_TOKENS: &str = "the device has two access tokens\n\
    help: fill in `access_token` or `token`, which mean the same";

const NO_FLAG: &str = "`gateway` is neither true nor false\n\
    help: write `true` for a device that speaks for others, or leave the cell empty";

const LONE_PASSWORD: &str = "a password without a user name\n\
    help: fill in `username`, perhaps `client_id` too, or leave `password` empty";

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::pki::{KeyKind, Validity, self_signed};

    /// The list's text at the end of the file's path, and what it gives.
    fn read(text: &str) -> Result<Vec<Listed>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        fs::write(&path, text).unwrap();
        listed(&path, 3).map_err(|failure| {
            let shown = path.display().to_string();
            failure.message.replace(&shown, "list.csv")
        })
    }

    fn shown(device: &Listed) -> String {
        match &device.credentials {
            None => "drawn".to_owned(),
            Some(Credentials::AccessToken(token)) => token.expose_secret().to_owned(),
            Some(Credentials::MqttBasic(basic)) => format!(
                "{}/{}/{}",
                basic.client_id,
                basic.username,
                basic.password.expose_secret()
            ),
            Some(Credentials::X509 { certificate }) => certificate.clone(),
        }
    }

    #[test]
    fn each_row_has_the_credentials_that_it_fills_in() {
        let devices = read(
            "serial,name,token,password,username,client_id,access_token\n\
             1,a,tok,,,,\n2,\"b,c\",,,,,\n3,d,,p,u,c,\n4,e,,,u2,,\n5,f,,,,c2,\n6,g,,,,,tk\n",
        )
        .unwrap();
        let seen: Vec<_> = devices
            .iter()
            .map(|device| (&*device.name, shown(device), device.profile))
            .collect();
        let expected = [
            ("a", "tok"),
            ("b,c", "drawn"),
            ("d", "c/u/p"),
            ("e", "/u2/"),
            ("f", "c2//"),
            ("g", "tk"),
        ];
        assert_eq!(
            seen,
            expected.map(|(name, credentials)| (name, credentials.to_owned(), 3))
        );
        assert_eq!(shown(&read("name\na\n").unwrap()[0]), "drawn");
        let devices = read("name,gateway\na,true\nb,False\nc,\n").unwrap();
        let gateways: Vec<bool> = devices.iter().map(|device| device.gateway).collect();
        assert_eq!(gateways, [true, false, false]);
    }

    #[test]
    fn a_certificate_is_read_from_its_file_and_of_a_chain_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let identity = self_signed("a", KeyKind::P256, Validity::days(1)).unwrap();
        let other = self_signed("b", KeyKind::P256, Validity::days(1)).unwrap();
        let path = dir.path().join("a.crt.pem");
        let chain = identity.certificates_pem() + &other.certificates_pem();
        fs::write(&path, chain).unwrap();
        let list = format!("name,certificate_file\na,{}\n", path.display());
        let devices = read(&list).unwrap();
        assert_eq!(shown(&devices[0]), identity.leaf_base64());
    }

    #[test]
    fn a_row_that_contradicts_itself_is_a_fault_with_its_line() {
        for (text, words) in [
            (
                "name,token,access_token\na,t,SECRET\n",
                &["list.csv:2: ", "two access tokens"][..],
            ),
            (
                "note,name,token,username\n\n\"x\ny\",a,,\n,b,SECRET,u\n",
                &["list.csv:5: ", "two kinds"],
            ),
            (
                "name,username,certificate_file\na,u,x.pem\n",
                &["list.csv:2: ", "two kinds"],
            ),
            (
                "name,client_id,password\na,,\nb,c,SECRET\n",
                &["list.csv:3: ", "user name"],
            ),
            (
                "name,certificate_file\na,nowhere.pem\n",
                &["list.csv:2: nowhere.pem: ", "PEM"],
            ),
            (
                "name,gateway\na,TRUE\nb,yes\n",
                &["list.csv:3: ", "neither true nor false"],
            ),
            ("serial\n1\n", &["list.csv:1:1: ", "name"]),
        ] {
            let said = read(text).unwrap_err();
            for word in words {
                assert!(said.contains(word), "{text}\n{said}");
            }
            assert!(!said.contains("SECRET"), "{said}");
        }
    }
}
