//! The catalogue: every rule with its id, how bad it is, what a server does, and the way out.
//!
//! Numbers are those of the table of list problems (spec, list-problems.md section 2). Adding a
//! rule is a line here, its finding in the module it belongs to, a fixture, and a paragraph in
//! docs/lists.md; tests hold the four together.

use super::finding::Severity;
use super::rule::{Entry, Repair, Scope};

macro_rules! rules {
    ($($variant:ident = $id:literal, $number:expr, $severity:ident, $repair:ident, $scope:ident,
        $title:literal, $effect:literal, $fix:literal;)*) => {
        /// A rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $title] $variant,)*
        }

        impl Rule {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What the catalogue says of it.
            pub(super) fn entry(self) -> &'static Entry {
                const TABLE: &[Entry] = &[$(Entry {
                    id: $id,
                    number: $number,
                    severity: Severity::$severity,
                    repair: Repair::$repair,
                    scope: Scope::$scope,
                    title: $title,
                    effect: $effect,
                    fix: $fix,
                },)*];
                &TABLE[self as usize]
            }
        }
    };
}

rules! {
    Bom = "bom", Some(1), Damage, Automatic, Any,
        "the file begins with a byte order mark",
        "by REST without a header it becomes the first character of the first name; the web interface strips it",
        "save the list as UTF-8 without a mark";
    Utf16 = "utf-16", Some(2), Error, Automatic, Any,
        "the file is UTF-16",
        "refused for its NUL characters, or every name is wrong",
        "save the list as \"CSV UTF-8\"";
    Utf32 = "utf-32", Some(2), Error, Automatic, Any,
        "the file is UTF-32",
        "refused for its NUL characters, or every name is wrong",
        "save the list as \"CSV UTF-8\"";
    NotUtf8 = "not-utf8", Some(3), Damage, Decision, Any,
        "bytes that are no UTF-8",
        "the web interface takes the file for Latin-1 and stores wrong letters",
        "save the list as \"CSV UTF-8\" from the program that wrote it: only that knows the encoding";
    Delimiter = "delimiter", Some(4), Error, Automatic, Any,
        "a row with another delimiter than the header",
        "the row is one cell: refused, or all of it becomes the name",
        "use one delimiter in the whole file";
    DelimiterOther = "delimiter-other", Some(4), Warning, Automatic, ThingsBoard,
        "the delimiter is not the comma",
        "imported with the default delimiter every row is one cell, and the file is refused",
        "choose the delimiter in the import, or save with commas";
    DelimiterInName = "delimiter-in-name", Some(4), Damage, Decision, Any,
        "a delimiter within the name of a list of one column",
        "the whole row becomes the name",
        "name all columns in the header";
    Cells = "cells", Some(5), Error, Decision, Any,
        "a row with more or fewer cells than the header",
        "the web interface refuses the file; by REST more cells fail the whole request, fewer leave values out",
        "give each row as many cells as the header, and quote cells that contain the delimiter";
    CellLineBreak = "cell-line-break", Some(6), Error, Automatic, ThingsBoard,
        "a line break within a cell",
        "the web interface splits the file into lines before it looks at quotes, and refuses it",
        "put the cell on one line: line breaks within a certificate do not count";
    Quote = "quote", Some(7), Error, Decision, Any,
        "a quote that is not closed, or stands within a cell",
        "rows are swallowed, or the file is refused",
        "quote the whole cell and double the quotes in it";
    LineNumbers = "line-numbers", Some(8), Warning, Automatic, ThingsBoard,
        "blank lines, so that line numbers and the server's differ",
        "the server's \"Line N\" counts rows: one looks at the wrong line of the file",
        "remove the blank lines";
    BlankRow = "blank-row", Some(9), Error, Automatic, Any,
        "a row without any value",
        "\"Device name should be specified!\"",
        "remove the row";
    HeaderMissing = "header-missing", Some(10), Damage, Decision, Any,
        "the first row is a device, not a header",
        "the first row is taken for the header, and its device is lost",
        "put a header above it, e.g. `name,type`";
    HeaderRepeated = "header-repeated", Some(10), Damage, Decision, Any,
        "the header once more among the devices",
        "a device is made that is called as the column is",
        "remove the row: two lists were joined";
    HeaderSpelling = "header-spelling", Some(11), Damage, Automatic, ThingsBoard,
        "a header that is a column type but for its spelling",
        "the column becomes a server attribute without a word: a token in it is not set",
        "spell it as the import does";
    HeaderUnknown = "header-unknown", Some(11), Damage, Decision, ThingsBoard,
        "a header that may be meant for a column type",
        "the column becomes a server attribute without a word: a token in it is not set",
        "spell it as the import does, or map the column by hand";
    NameColumnMissing = "name-column-missing", Some(11), Error, Decision, Any,
        "no column holds the names",
        "the import refuses the file",
        "call the column with the names `name`, or say which it is with --name-column";
    HeaderDuplicate = "header-duplicate", Some(12), Damage, Decision, Any,
        "two columns of one header",
        "one of them wins",
        "remove or rename one of them";
    NameEmpty = "name-empty", Some(13), Error, Source, Any,
        "a row without a name",
        "\"Device name should be specified!\"; in provisioning a name of blanks fails and a missing one gets 20 random characters",
        "give the row a name, or drop it";
    NameBlanks = "name-blanks", Some(14), Damage, Automatic, Any,
        "blanks around a name",
        "stored as it is by the import and trimmed by provisioning: the two never match",
        "remove them";
    NameInvisible = "name-invisible", Some(14), Damage, Automatic, Any,
        "characters that cannot be seen in a name",
        "stored as they are: no device that sends the name as it looks matches",
        "remove them";
    NameLookalike = "name-lookalike", Some(14), Damage, Decision, Any,
        "a name with letters that look like others",
        "two names that look the same are two devices; one typed from a label matches neither",
        "write the name with the letters that the device sends";
    NameDuplicate = "name-duplicate", Some(15), Damage, Decision, Any,
        "one name twice",
        "the rows run side by side: the second overwrites the first or breaks, differently from run to run",
        "keep one of the two rows";
    NameCase = "name-case", Some(16), Damage, Decision, Any,
        "one name twice but for capitals",
        "two devices: the server tells capitals from small letters",
        "keep the row that is spelt as the device sends it";
    MacDuplicate = "mac-duplicate", Some(17), Damage, Automatic, Any,
        "one MAC address twice, in two notations",
        "two devices for one unit",
        "keep the row in the notation that the firmware sends";
    MacNotation = "mac-notation", Some(18), Damage, Automatic, Any,
        "a MAC address in another notation than most of the list",
        "the firmware sends one spelling and the list has another: provisioning fails",
        "use one notation: that of the firmware";
    MacMalformed = "mac-malformed", Some(19), Damage, Decision, Any,
        "a name that is nearly a MAC address",
        "accepted, for a name is any text; the unit never provisions",
        "correct it from the unit's label";
    MacMulticast = "mac-multicast", Some(20), Warning, Source, Any,
        "a MAC address with the multicast bit",
        "accepted; no network card has such an address",
        "ask the source of the list";
    MacLocal = "mac-local", Some(20), Warning, Source, Any,
        "a locally administered MAC address",
        "accepted; it is not assigned to a maker, and may change or occur twice",
        "ask whether the units really send it";
    MacPlaceholder = "mac-placeholder", Some(20), Warning, Source, Any,
        "a MAC address from a manual or of an unprogrammed unit",
        "accepted; several units may have it",
        "ask the source of the list";
    OuiOther = "oui-other", Some(21), Warning, Source, Any,
        "a MAC address of another maker",
        "accepted; perhaps the wrong lot",
        "check the lot";
    OuiMixed = "oui-mixed", Some(21), Warning, Source, Any,
        "a few MAC addresses of another maker than the rest",
        "accepted; perhaps the wrong lot",
        "check the lot, or say which are right with --oui";
    LotOverlap = "lot-overlap", Some(22), Warning, Source, Any,
        "two lists whose address ranges overlap",
        "accepted; perhaps one lot was listed twice or numbered wrongly",
        "check the lots";
    LotGap = "lot-gap", Some(22), Warning, Source, Any,
        "addresses are missing from an otherwise unbroken range",
        "accepted; perhaps units are missing from the list",
        "check the lot";
    LotCount = "lot-count", Some(22), Warning, Source, Any,
        "the list has not as many devices as expected",
        "accepted; units are missing or too many",
        "check the order";
    IdentifierOther = "identifier-other", Some(23), Warning, Source, Any,
        "an EUI-64, IMEI or ICCID among MAC addresses",
        "accepted; perhaps the wrong column or lot",
        "check the list's source";
    CheckDigit = "check-digit", Some(23), Warning, Source, Any,
        "an IMEI or ICCID whose check digit is wrong",
        "accepted; the unit never provisions",
        "correct it from the unit's label";
    SpreadsheetExponent = "spreadsheet-exponent", Some(24), Damage, Source, Any,
        "an identifier that a spreadsheet turned into a number",
        "stored as it is; the identifier is lost for good",
        "ask for the list again, with the column formatted as text";
    SpreadsheetZeros = "spreadsheet-zeros", Some(25), Damage, Decision, Any,
        "an identifier that lost its leading zeros",
        "stored as it is; the unit never provisions",
        "put the zeros back, with the column formatted as text";
    SpreadsheetMark = "spreadsheet-mark", Some(26), Damage, Automatic, Any,
        "a spreadsheet's mark for text",
        "stored as a part of the value",
        "remove the mark";
    Formula = "formula", Some(26), Warning, Decision, Any,
        "a cell that a spreadsheet would run as a formula",
        "stored literally; whoever opens an export of it runs it",
        "check that it is meant";
    AttributeType = "attribute-type", Some(27), Damage, Decision, ThingsBoard,
        "attribute values whose type the server guesses",
        "numbers lose zeros and digits, and one attribute has several types",
        "quote does not help: give the values a letter, or import them another way";
    TextLong = "text-long", Some(28), Error, Source, ThingsBoard,
        "a name, type or label of more than 255 characters",
        "refused",
        "shorten it";
    TextMarkup = "text-markup", Some(29), Error, Automatic, ThingsBoard,
        "HTML in a name, type or label",
        "refused as a possible attack",
        "remove the markup";
    MarkupUnclear = "markup-unclear", Some(29), Error, Decision, ThingsBoard,
        "a template, or what looks like a tag, in a name, type or label",
        "refused as a possible attack",
        "write it without `{{`, or without `<` before a letter: only you know what it stands for";
    ControlCharacter = "control-character", Some(30), Error, Automatic, Any,
        "a control character",
        "NUL in a name and any in credentials are refused; others pass and match nothing",
        "remove it";
    TypeTypo = "type-typo", Some(31), Damage, Decision, ThingsBoard,
        "a type that is nearly another one of the list",
        "a new device profile is made; provisioning by the right one fails",
        "spell it as the profile is called";
    CredentialsTwoKinds = "credentials-two-kinds", Some(32), Damage, Decision, ThingsBoard,
        "credentials of two kinds in one row",
        "LwM2M comes before X.509, MQTT basic and the access token; the others are dropped without a word",
        "keep one kind";
    TokenDuplicate = "token-duplicate", Some(33), Error, Decision, ThingsBoard,
        "one access token twice",
        "\"Device credentials are already assigned to another device!\": which row wins is chance",
        "give each device its own";
    CredentialsDuplicate = "credentials-duplicate", Some(33), Error, Decision, ThingsBoard,
        "one MQTT user, client id or LwM2M endpoint for two devices",
        "\"Device credentials are already assigned to another device!\": which row wins is chance",
        "give each device its own; a shared user name needs a client id for each device";
    TokenShared = "token-shared", Some(34), Error, Decision, ThingsBoard,
        "an access token that is also the id of another device's credentials",
        "\"Device credentials are already assigned to another device!\": ids are one space over all kinds",
        "give each device its own";
    TokenGuessable = "token-guessable", Some(34), Warning, Decision, ThingsBoard,
        "an access token that is the device's name",
        "tokens are unique over all tenants of a server: another one with this scheme takes it; and whoever reads the label can log in",
        "draw tokens at random: `fleetcall generate --tokens`, or derive them with a key";
    TokenEmpty = "token-empty", Some(35), Damage, Decision, ThingsBoard,
        "some rows without an access token or other credentials",
        "the server draws a token that the maker does not know",
        "fill it in";
    TokenWeak = "token-weak", Some(36), Warning, Decision, ThingsBoard,
        "an access token that is short or can be guessed from others",
        "accepted",
        "draw tokens of 20 characters at random";
    BasicIncomplete = "basic-incomplete", Some(37), Error, Source, ThingsBoard,
        "MQTT credentials that the server does not take",
        "\"Both mqtt client id and user name are empty!\", or \"Password cannot be specified along with client id\"",
        "fill in the user name, or leave the password empty";
    CertificateInvalid = "certificate-invalid", Some(38), Damage, Source, ThingsBoard,
        "a cell that is no certificate",
        "not looked at by the import; the device cannot connect later",
        "give the device's certificate as PEM or base64";
    CertificateExpired = "certificate-expired", Some(38), Damage, Source, ThingsBoard,
        "a certificate that has expired",
        "not looked at by the import; the device cannot connect later",
        "issue it anew";
    CertificateNotYet = "certificate-not-yet", Some(38), Damage, Source, ThingsBoard,
        "a certificate that is not valid yet",
        "not looked at by the import; the device cannot connect before that day",
        "check the dates";
    CertificateWeak = "certificate-weak", Some(38), Damage, Source, ThingsBoard,
        "a certificate with a weak key or signature",
        "not looked at by the import; servers refuse it in the handshake",
        "issue it anew with P-256 or RSA of 2,048 bits, signed with SHA-256";
    CertificateDuplicate = "certificate-duplicate", Some(38), Damage, Source, ThingsBoard,
        "one certificate or key for two devices",
        "a certificate is one device's credentials: the second row is refused, or both units share a key",
        "issue one for each device";
    CertificateSeveral = "certificate-several", Some(38), Damage, Source, ThingsBoard,
        "several certificates in a cell",
        "hashed as one: no device matches",
        "give the device's own certificate alone";
    ChainName = "chain-name", Some(39), Damage, Source, ThingsBoard,
        "a certificate whose common name does not give the device's name",
        "provisioning fails, or makes a device of another name",
        "issue it for the name, or correct the profile's pattern";
    Lwm2m = "lwm2m", Some(40), Error, Source, ThingsBoard,
        "LwM2M credentials that the server does not take",
        "\"Unknown LwM2M security mode\", or the key is refused",
        "correct the mode or the key";
    GatewayValue = "gateway-value", Some(41), Damage, Automatic, ThingsBoard,
        "IS_GATEWAY is neither `true` nor `false`",
        "read as false without a word",
        "write true or false";
    GatewayUnknown = "gateway-unknown", Some(41), Damage, Decision, ThingsBoard,
        "IS_GATEWAY is a word that is neither yes nor no",
        "read as false without a word",
        "write true or false";
    Snmp = "snmp", Some(42), Error, Source, ThingsBoard,
        "SNMP settings that the server does not take",
        "the row is refused",
        "give a port from 1 to 65535, and v1, v2c or v3";
    ListLarge = "list-large", Some(44), Error, Automatic, ThingsBoard,
        "the list is larger than one import request may be",
        "413, and nothing is imported",
        "split it, or let `fleetcall admin import` send it in parts";
    ListTooMany = "list-too-many", Some(44), Error, Decision, ThingsBoard,
        "more devices than the tenant may have",
        "the import is cut in the middle",
        "raise the tenant's limit, or import fewer";
    AwsName = "aws-name", Some(45), Error, Decision, Aws,
        "a name that AWS IoT does not take",
        "refused: up to 128 characters of a-z, A-Z, 0-9, `:`, `_` and `-`",
        "use other names";
    AzureName = "azure-name", Some(45), Error, Decision, Azure,
        "a name that Azure does not take",
        "refused: up to 128 characters of a-z, 0-9, `-`, `.`, `_` and `:`, not ending in a mark",
        "use other names, in small letters";
    LineEnds = "line-ends", Some(48), Warning, Automatic, Any,
        "line ends of several kinds, or carriage returns alone",
        "depends on the reader: rows may be joined",
        "save with LF or CRLF throughout";
    LastLineEnd = "last-line-end", Some(48), Warning, Automatic, Any,
        "the last line has no end",
        "none; perhaps the file was cut there",
        "check that the last device is complete";
    Cut = "cut", Some(48), Error, Source, Any,
        "the file seems to be cut off in its last row",
        "the last device is lost, and those after it",
        "get the file again";
    SecretsExposed = "secrets-exposed", Some(49), Warning, Decision, Any,
        "a list with secrets that others can read",
        "whoever reads the file can log in as its devices",
        "chmod 600, and keep it out of the repository";
    ListTwice = "list-twice", Some(50), Warning, Decision, Any,
        "one list given twice",
        "imported again, it overwrites every device, credentials too",
        "give each list once";
    ListEmpty = "list-empty", None, Error, Source, Any,
        "no device in the file",
        "nothing is imported",
        "give a header and a row for each device";
    LineLong = "line-long", None, Error, Source, Any,
        "a line of more than 1 MiB",
        "no list of devices: nothing after it was read",
        "give a CSV file with one device on each line";
}
