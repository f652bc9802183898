//! `ferrule cert show`: a certificate in words.

use std::{fmt, process::ExitCode};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tls::{
    Certificate, KeyKind, Renewal, Role, Roles, Roots, Warning,
    chain::{self, Purpose},
    renewal_due, roles,
};
use types::{Domain, Timestamp};

use super::{arguments::ShowArgs, read};
use crate::output;

/// Prints what is in a file. What other backends would say to it is no failure of the command.
pub fn run(args: &ShowArgs, now: Timestamp) -> Result<ExitCode> {
    let at = args.file.display().to_string();
    let text = read(&args.file)?;
    let mut roots = Roots::empty();
    for file in &args.ca {
        roots.add_pem(&file.display().to_string(), read(file)?.as_bytes())?;
    }
    let partner = Partner { roots: (!args.ca.is_empty()).then_some(roots), depth: usize::from(args.verify_depth) };
    let found = Inspection::of(&text, args.infra.as_ref(), &partner, now).context(at.clone())?;
    match args.json {
        true => output::line(format_args!("{:#}", found.to_json(&at)))?,
        false => output::line(format_args!("{at}: {found}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The backend that judges.
struct Partner {
    /// Whom it trusts; `None` where that is not known.
    roots: Option<Roots>,
    depth: usize,
}

/// What is in a file of certificates.
struct Inspection {
    certificates: Vec<Certificate>,
    has_key: bool,
    now: Timestamp,
    /// What a partner says, in either role; empty for a CA.
    verdicts: Vec<Verdict>,
    notes: Vec<String>,
}

struct Verdict {
    role: Role,
    /// Why it is refused; empty where it is accepted.
    refusals: Vec<String>,
}

impl Inspection {
    fn of(text: &str, infra: Option<&Domain>, partner: &Partner, now: Timestamp) -> Result<Self> {
        let (chain, certificates): (Vec<_>, Vec<_>) = tls::parsed_certificates(text.as_bytes())?.into_iter().unzip();
        let leaf = &certificates[0];
        let has_key = text.contains("PRIVATE KEY-----");
        let mut found = Self { has_key, now, verdicts: Vec::new(), notes: notes(leaf), certificates: Vec::new() };
        if !leaf.is_ca {
            let named = leaf.names().first().and_then(|name| name.parse::<Domain>().ok());
            found.verdicts = [(Role::Server, Purpose::ServerAuth), (Role::Client, Purpose::ClientAuth)]
                .map(|(role, purpose)| {
                    let infra = infra.or(named.as_ref());
                    let of_chain = partner
                        .roots
                        .as_ref()
                        .map(|roots| chain::verify(&chain, roots, purpose, now, Some(partner.depth)).map(drop));
                    let chain = of_chain.and_then(Result::err).map(|error| error.to_string());
                    let leaf = infra.iter().flat_map(|infra| Warning::of_leaf(role, leaf, infra, now));
                    Verdict { role, refusals: leaf.map(|warning| warning.to_string()).chain(chain).collect() }
                })
                .into();
            if infra.is_none() && named.is_none() {
                found.notes.push("no name of it can be an infrastructure domain: say which with --infra".into());
            }
        }
        found.certificates = certificates;
        Ok(found)
    }

    fn to_json(&self, at: &str) -> Value {
        let certificates: Vec<Value> = self.certificates.iter().map(|one| facts(one, self.now)).collect();
        let verdicts = self.verdicts.iter().map(|verdict| {
            json!({
                "role": role_name(verdict.role),
                "accepted": verdict.refusals.is_empty(),
                "reasons": verdict.refusals,
            })
        });
        json!({
            "file": at,
            "certificates": certificates,
            "private_key": self.has_key,
            "partner": verdicts.collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.certificates.len();
        write!(f, "{count} certificate{}", if count == 1 { "" } else { "s" })?;
        writeln!(f, "{}", if self.has_key { " and a private key, which is not shown" } else { "" })?;
        for (index, one) in self.certificates.iter().enumerate() {
            let kind = match (one.is_ca, index) {
                (true, _) => "a certificate authority",
                (false, 0) => "the certificate of a backend",
                (false, _) => "another certificate, in the place of an issuer",
            };
            writeln!(f, "\n{}. {kind}", index + 1)?;
            writeln!(f, "   names    {}", listed(&one.names()))?;
            writeln!(f, "   subject  {}", if one.subject.is_empty() { "(empty)" } else { &one.subject })?;
            writeln!(f, "   issuer   {}{}", one.issuer, if one.self_issued { " (itself)" } else { "" })?;
            writeln!(f, "   valid    from {} to {}: {}", one.not_before, one.not_after, dates(one, self.now))?;
            writeln!(f, "   key      {}", one.key)?;
            writeln!(f, "   usages   {}", usages(one))?;
        }
        if !self.verdicts.is_empty() {
            writeln!(f, "\nWhat another backend would say")?;
        }
        for Verdict { role, refusals } in &self.verdicts {
            let when = match role {
                Role::Server => "when it calls this one ",
                Role::Client => "when this one calls it ",
            };
            let said =
                if refusals.is_empty() { "accepted".to_owned() } else { format!("refused: {}", refusals.join("; ")) };
            writeln!(f, "   {when} {said}")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "\nnote: {note}"))
    }
}

fn facts(one: &Certificate, now: Timestamp) -> Value {
    let Roles { server, client } = roles(one);
    let renewal = match renewal_due(one.not_before, one.not_after, now) {
        Renewal::Fresh { .. } => "fresh",
        Renewal::Due => "due",
        Renewal::Expired => "expired",
    };
    json!({
        "names": one.names(),
        "subject": one.subject,
        "issuer": one.issuer,
        "not_before": one.not_before,
        "not_after": one.not_after,
        "days_left": whole_days(now, one.not_after),
        "renewal": renewal,
        "key": one.key.to_string(),
        "ca": one.is_ca,
        "server": server,
        "client": client,
    })
}

/// What is worth knowing and refuses nothing.
fn notes(leaf: &Certificate) -> Vec<String> {
    let older = "older wire-servers accept only RSA and ECDSA P-256";
    match &leaf.key {
        KeyKind::EcdsaP256 | KeyKind::Rsa(_) => Vec::new(),
        other => vec![format!("the key is {other}; {older}")],
    }
}

fn dates(one: &Certificate, now: Timestamp) -> String {
    let left = whole_days(now, one.not_after);
    if now < one.not_before {
        return format!("not valid before {} days have passed", whole_days(now, one.not_before));
    }
    match renewal_due(one.not_before, one.not_after, now) {
        Renewal::Fresh { due } => format!("{left} days left, renewal due in {} days", whole_days(now, due)),
        Renewal::Due => format!("{left} days left, renewal is due"),
        Renewal::Expired => format!("expired {} days ago", whole_days(one.not_after, now)),
    }
}

fn usages(one: &Certificate) -> String {
    if one.is_ca {
        return "signs certificates".to_owned();
    }
    let said = match roles(one) {
        Roles { server: true, client: true } => "server and client",
        Roles { server: true, client: false } => "server only",
        Roles { server: false, client: true } => "client only",
        Roles { server: false, client: false } => "neither server nor client",
    };
    let extension = match one.purposes {
        None => "no extended key usage, which allows both".to_owned(),
        Some(purposes) => {
            let names = [("serverAuth", purposes.server_auth), ("clientAuth", purposes.client_auth)];
            let there: Vec<&str> = names.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
            if there.is_empty() { "other extended key usages".to_owned() } else { there.join(", ") }
        }
    };
    format!("{said} ({extension})")
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

/// Rounded down; 0 where `to` lies behind.
fn whole_days(from: Timestamp, to: Timestamp) -> u64 {
    to.since(from).as_secs() / 86_400
}

#[cfg(test)]
mod tests {
    use tls::issue::{Authority, AuthorityRequest, KeyType, LeafRequest, Usage, Validity};

    use super::*;

    const DAY: i64 = 86_400;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_seconds(day * DAY)
    }

    fn leaf(usage: Usage, key_type: KeyType) -> (Authority, String) {
        let validity = Validity { from: at(0), to: at(90) };
        let authority = Authority::root(&AuthorityRequest::new("a CA", validity)).unwrap();
        let request = LeafRequest { usage, key_type, ..LeafRequest::new("f.a.example", validity) };
        let issued = authority.issue(&request).unwrap();
        (authority, format!("{}{}", issued.chain_pem(), issued.key_pem()))
    }

    fn partner(roots: Option<&Authority>) -> Partner {
        let roots = roots.map(|ca| Roots::from_pem("(test)", ca.certificate_pem().as_bytes()).unwrap());
        Partner { roots, depth: 2 }
    }

    #[test]
    fn what_a_partner_says() {
        let infra: Domain = "f.a.example".parse().unwrap();
        let other: Domain = "f.b.example".parse().unwrap();
        let (stranger, _) = leaf(Usage::Both, KeyType::EcdsaP256);
        for (usage, infra, trusted, day, server, client) in [
            (Usage::Both, &infra, true, 10, "", ""),
            (Usage::Server, &infra, true, 10, "", "clientAuth"),
            (Usage::Client, &infra, true, 10, "serverAuth", ""),
            (Usage::Both, &other, true, 10, "f.b.example", "f.b.example"),
            (Usage::Both, &infra, true, 91, "not now", "not now"),
            (Usage::Both, &infra, false, 10, "not trusted", "not trusted"),
        ] {
            let (authority, text) = leaf(usage, KeyType::EcdsaP256);
            let partner = partner(Some(if trusted { &authority } else { &stranger }));
            let found = Inspection::of(&text, Some(infra), &partner, at(day)).unwrap();
            for (verdict, words) in found.verdicts.iter().zip([server, client]) {
                let told = verdict.refusals.join("; ");
                assert_eq!(told.is_empty(), words.is_empty(), "{usage:?} {infra} {trusted} {day}: {told}");
                // The stranger has the name of the CA, but another key.
                let expected = if words == "not trusted" { "signature" } else { words };
                assert!(told.contains(expected) || words == "not now", "{words}: {told}");
            }
        }
    }

    #[test]
    fn words_and_json_say_the_same_and_never_the_key() {
        let (_, text) = leaf(Usage::Server, KeyType::EcdsaP384);
        let key: Vec<&str> = text.lines().skip_while(|line| !line.contains("PRIVATE")).collect();
        let found = Inspection::of(&text, None, &partner(None), at(30)).unwrap();
        let (words, json) = (found.to_string(), found.to_json("x.pem"));
        for expected in [
            "f.a.example",
            "a CA",
            "60 days left, renewal due in 30 days",
            "ECDSA P-384",
            "server only (serverAuth)",
            "accepted",
            "refused: the extended key usage of the client certificate lacks clientAuth",
            "note: ",
            "a private key, which is not shown",
        ] {
            assert!(words.contains(expected), "{expected}: {words}");
        }
        assert_eq!(json["certificates"][0]["days_left"], 60);
        assert_eq!(
            (&json["certificates"][0]["server"], &json["certificates"][0]["client"]),
            (&json!(true), &json!(false))
        );
        assert_eq!((&json["partner"][0]["accepted"], &json["partner"][1]["accepted"]), (&json!(true), &json!(false)));
        assert!(key.len() > 2);
        for line in key {
            assert!(!words.contains(line) && !json.to_string().contains(line), "the key is shown");
        }
    }

    #[test]
    fn dates_in_days() {
        let (_, text) = leaf(Usage::Both, KeyType::EcdsaP256);
        for (day, words) in [
            (-2, "not valid before 2 days"),
            (0, "90 days left, renewal due in 60 days"),
            (60, "30 days left, renewal is due"),
            (95, "expired 5 days ago"),
        ] {
            let found = Inspection::of(&text, None, &partner(None), at(day)).unwrap().to_string();
            assert!(found.contains(words), "{words}: {found}");
        }
    }

    #[test]
    fn an_authority_is_judged_by_nobody() {
        let (authority, _) = leaf(Usage::Both, KeyType::EcdsaP256);
        let found = Inspection::of(&authority.certificate_pem(), None, &partner(None), at(1)).unwrap();
        assert!(found.verdicts.is_empty());
        assert!(found.to_string().contains("a certificate authority"), "{found}");
    }
}
