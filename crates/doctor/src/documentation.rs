//! The table of checks, for `docs/doctor.md`.

use std::fmt::Write;

use crate::catalogue::{CHECKS, Check, Group};

/// The document about the checks, made of [`CHECKS`].
pub fn documentation() -> String {
    let mut text = String::from(HEAD);
    for group in Group::ALL {
        let _ = write!(
            text,
            "\n## {}\n\n| # | check | what is looked at | what to do | option | Helm value |\n",
            group.title()
        );
        text.push_str("|---|---|---|---|---|---|\n");
        for check in CHECKS.iter().filter(|check| check.group == group) {
            let Check { id, title, looks, remedy, option, helm, .. } = check;
            let (option, helm) = (code(option), code(helm));
            let needs = match check.depends_on {
                [] => String::new(),
                on => format!(" Needs {}.", on.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")),
            };
            let _ = writeln!(text, "| {id} | {title} | {looks}{needs} | {remedy} | {option} | {helm} |");
        }
    }
    text
}

/// `a, b (there)` as `` `a`, `b` (there) ``.
fn code(list: &str) -> String {
    let one = |name: &str| match name.split_once(' ') {
        Some((name, note)) => format!("`{name}` {note}"),
        None => format!("`{name}`"),
    };
    list.split(", ").filter(|name| !name.is_empty()).map(one).collect::<Vec<_>>().join(", ")
}

const HEAD: &str = "<!-- Made of crates/doctor/src/catalogue.rs by `FERRULE_BLESS=1 cargo test -p doctor documentation`. -->

# ferrule doctor

`ferrule doctor` looks at a backend's federation and says what keeps others away, and what is to be done about it. It takes
the place of dig, openssl and a search by hand after a change of DNS, certificates or allow lists.

```
ferrule doctor --config ferrule.toml                  # this backend and every backend that it allows
ferrule doctor --config ferrule.toml partner.example  # this backend and that one
ferrule doctor --config ferrule.toml --json           # the same as one JSON document
ferrule doctor --config ferrule.toml --helm values.yaml secrets.yaml   # beside a wire-server with these Helm values
ferrule doctor --config federator.toml                # a federator that is a process of its own
ferrule doctor --config federator.yaml                # the same with wire-server's file
ferrule doctor --ready-file ready.json --backend a.example   # a backend of `ferrule dev --ready-file ready.json`
```

The exit status is 0 if all is well, 1 if there are warnings, 2 if something failed, and 3 if nothing could be examined, as
with a command line or a `--ready-file` that makes no sense. Nothing is changed anywhere: partners are asked for their versions and for a random handle that nobody has. A backend that does not run is looked at as far as its
files and DNS go, and the checks that it would have to answer say so.

Of several SRV targets the one that is `federation.infra` is looked at, and what answers there (checks 10, 13, 14, 19, 20);
where none of them is, check 10 says so, and the others look at `federation.listen`.

**Several processes.** A backend with `[components]` has neither certificates nor an ingress of its own: those checks say so,
and partners are called by its federator, whose errors tell the rest. The federator itself is examined with its own
configuration; whose domain it is it learns from brig, or from the environment (`FERRULE_DOMAIN=example.com`). Behind an
ingress of somebody else, what callers are shown is looked at where the SRV record leads to. Run the doctor where the
addresses of the configuration can be reached, such as in the pod; a backend answers at `components.listen` only to
addresses in `components.federators`.

**Beside a wire-server.** `--helm` takes the values that helm is given, in the same order. Whether they name one domain, and
the one that is configured, is check 2; whether its ingress believes the partners that its federator believes, check 25.

`--from-outside URL` names the public address of the backend as clients have it, such as
`https://nginz-https.wire.example.com`: whether the internal API can be reached is then tried there as well, and that there is no
answer is a warning.

By hand, the documentation of wire-server tests a configuration with dig, with openssl, and by a search in the app. The same
is said here by these checks:

| by hand | checks |
|---|---|
| the SRV record of the backend domain is there, with priority, weight, port 443 and the infrastructure domain | 8, 9, 10 |
| that has an address, where the ingress runs | 9, 10 |
| the certificate has the infrastructure domain among its names, and has not expired | 14, 15 |
| it was signed by who it should, with key and usages that others take | 13, 16, 17, 18 |
| both backends have each other on the allow list | 26, 27 |
| both trust each other's CA certificate | 22, 23, 24, 25 |
| a user of one finds `@user@domain` of the other | 28, 29, 30 |

Numbers stay what they are. A check that needs another one says `depends on N` where that one was not good.

In the JSON document `checks` lists every check with `id`, `title`, `partner` (null where it is about this backend),
`verdict` (`pass`, `warn`, `fail` or `skip`), `evidence`, `remedy`, `option`, `helm` and `depends_on`; `verdict` is the
worst of them, `counts` how many there are of each. More fields may come, none will go.
";
