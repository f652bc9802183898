//! Reading DNS answers: which records answer a question, and how long they may be remembered.

use std::time::Duration;

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};
use types::Domain;

use super::{ResolverError, SrvAnswer, Target, srv::service_name};

impl SrvAnswer {
    /// What one DNS message (RFC 1035 §4) says to the question for a domain's service, whoever sent it.
    ///
    /// # Errors
    /// [`ResolverError::Absent`] if there is no such record; [`ResolverError::Failed`] if it is no message, tells of an
    /// error, or leaves the end of a chain of aliases to be asked for.
    pub fn from_message(message: &[u8], domain: &Domain) -> Result<Self, ResolverError> {
        let failed = |text: String| Err(ResolverError::Failed(text));
        let message = Message::from_vec(message).map_err(|error| ResolverError::Failed(error.to_string()))?;
        let code = message.metadata.response_code;
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return failed(code.to_string());
        }
        // A name that is too long with the service before it cannot have a record.
        let name = Name::from_ascii(service_name(domain)).map_err(|_| ResolverError::Absent { ttl: None })?;
        match read(&message, &name, RecordType::SRV) {
            Reading::Absent { ttl } => Err(ResolverError::Absent { ttl }),
            Reading::Alias { name, .. } => failed(format!("the message ends at the alias {name}")),
            Reading::Circle => failed("the aliases lead in a circle".to_owned()),
            Reading::Records { data, ttl } => Ok(Self { targets: targets(&data), ttl }),
        }
    }
}

/// The targets that SRV records name, as they stand there.
pub(super) fn targets(data: &[RData]) -> Vec<Target> {
    let targets = data.iter().filter_map(|data| match data {
        RData::SRV(srv) => {
            Some(Target { host: srv.target.to_ascii(), port: srv.port, priority: srv.priority, weight: srv.weight })
        }
        _ => None,
    });
    targets.collect()
}

/// What a message says about a question.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    /// There is no such record.
    Absent {
        /// How long that may be remembered.
        ttl: Option<Duration>,
    },
    /// It ends in a name that has no such record here; the rest of the chain must be asked for.
    Alias {
        /// The name.
        name: Name,
        /// The smallest TTL so far.
        ttl: Duration,
    },
    /// The aliases lead back to where they began.
    Circle,
    /// The data of the records.
    Records {
        /// In the order of the answer.
        data: Vec<RData>,
        /// The smallest TTL of the records and of the aliases that led to them.
        ttl: Duration,
    },
}

/// Reads the answer to the question for `kind` at `name`. Records for other names and of other types are not looked
/// at, whatever they claim.
pub(super) fn read(message: &Message, name: &Name, kind: RecordType) -> Reading {
    let (mut at, mut smallest) = (name, Duration::MAX);
    // A chain cannot have more links than the answer has records; a circle ends here.
    for _ in 0..=message.answers.len() {
        let here = || message.answers.iter().filter(|record| record.name == *at);
        let found: Vec<&Record> = here().filter(|record| record.data.record_type() == kind).collect();
        if !found.is_empty() {
            let ttl = found.iter().map(|record| ttl(record.ttl)).min().unwrap_or_default();
            let data = found.into_iter().map(|record| record.data.clone()).collect();
            return Reading::Records { data, ttl: smallest.min(ttl) };
        }
        let alias = here().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((&target.0, record.ttl)),
            _ => None,
        });
        match alias {
            Some((target, seconds)) => (at, smallest) = (target, smallest.min(ttl(seconds))),
            None if at == name => return Reading::Absent { ttl: negative_ttl(message) },
            None => return Reading::Alias { name: at.clone(), ttl: smallest },
        }
    }
    Reading::Circle
}

/// The question for `kind` at `name`.
pub(super) fn question(name: Name, kind: RecordType) -> Query {
    Query::query(name, kind)
}

/// A TTL as it counts: with its highest bit set it is none (RFC 2181 §8).
fn ttl(seconds: u32) -> Duration {
    if seconds > i32::MAX as u32 { Duration::ZERO } else { Duration::from_secs(seconds.into()) }
}

/// How long the absence of a record may be remembered (RFC 2308 §5).
fn negative_ttl(message: &Message) -> Option<Duration> {
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(ttl(record.ttl).min(ttl(soa.minimum))),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::OpCode,
        rr::rdata::{A, CNAME, SOA, SRV},
    };
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn srv(owner: &str, ttl: u32, host: &str) -> Record {
        Record::from_rdata(name(owner), ttl, RData::SRV(SRV::new(1, 2, 3, name(host))))
    }

    fn alias(owner: &str, ttl: u32, to: &str) -> Record {
        Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(to))))
    }

    fn message(answers: Vec<Record>, authorities: Vec<Record>) -> Message {
        let mut message = Message::response(1, OpCode::Query);
        message.answers = answers;
        message.authorities = authorities;
        message
    }

    fn asked(answers: Vec<Record>) -> Reading {
        read(&message(answers, vec![]), &name("q.example."), RecordType::SRV)
    }

    fn hosts(reading: Reading) -> (Vec<String>, u64) {
        match reading {
            Reading::Records { data, ttl } => {
                let host = |data: RData| match data {
                    RData::SRV(srv) => srv.target.to_ascii(),
                    other => panic!("{other:?}"),
                };
                (data.into_iter().map(host).collect(), ttl.as_secs())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_smallest_ttl_counts() {
        let found = asked(vec![srv("q.example.", 300, "a."), srv("Q.EXAMPLE.", 60, "b.")]);
        assert_eq!(hosts(found), (vec!["a.".into(), "b.".into()], 60));
        assert_eq!(hosts(asked(vec![srv("q.example.", 1 << 31, "a.")])).1, 0, "RFC 2181 §8");
        assert_eq!(hosts(asked(vec![srv("q.example.", (1 << 31) - 1, "a.")])).1, (1 << 31) - 1);
    }

    #[test]
    fn aliases_are_followed_in_any_order() {
        let found = asked(vec![
            srv("z.example.", 300, "a."),
            alias("y.example.", 20, "z.example."),
            alias("q.example.", 100, "y.example."),
        ]);
        assert_eq!(hosts(found), (vec!["a.".into()], 20));
        let open = asked(vec![alias("q.example.", 100, "y.example.")]);
        assert_eq!(open, Reading::Alias { name: name("y.example."), ttl: Duration::from_secs(100) });
        let circle = asked(vec![alias("q.example.", 1, "y.example."), alias("y.example.", 1, "q.example.")]);
        assert_eq!(circle, Reading::Circle);
    }

    #[test]
    fn lies_are_not_looked_at() {
        let a = Record::from_rdata(name("q.example."), 60, RData::A(A::new(10, 0, 0, 1)));
        let lies = vec![srv("other.example.", 60, "evil."), a, alias("else.example.", 60, "q.example.")];
        assert_eq!(asked(lies.clone()), Reading::Absent { ttl: None });
        let mut with_truth = lies;
        with_truth.push(srv("q.example.", 5, "good."));
        assert_eq!(hosts(asked(with_truth)), (vec!["good.".into()], 5));
    }

    #[test]
    fn absence_lasts_as_long_as_the_zone_says() {
        for (ttl, minimum, expected) in [(100, 50, 50), (20, 50, 20), (0, 50, 0)] {
            let soa = RData::SOA(SOA::new(name("ns."), name("me."), 1, 1, 1, 1, minimum));
            let message = message(vec![], vec![Record::from_rdata(name("example."), ttl, soa)]);
            let reading = read(&message, &name("q.example."), RecordType::SRV);
            assert_eq!(reading, Reading::Absent { ttl: Some(Duration::from_secs(expected)) });
        }
        assert_eq!(asked(vec![]), Reading::Absent { ttl: None });
    }

    proptest! {
        #[test]
        fn any_message_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(message) = Message::from_vec(&bytes) {
                let _ = read(&message, &name("q.example."), RecordType::SRV);
            }
        }

        #[test]
        fn any_chain_is_read(links in proptest::collection::vec((0u8..6, 0u8..6, any::<u32>(), any::<bool>()), 0..20)) {
            let records = links.iter().map(|(from, to, ttl, is_alias)| {
                let (from, to) = (format!("n{from}."), format!("n{to}."));
                if *is_alias { alias(&from, *ttl, &to) } else { srv(&from, *ttl, &to) }
            });
            let message = message(records.collect(), vec![]);
            if let Reading::Records { data, .. } = read(&message, &name("n0."), RecordType::SRV) {
                prop_assert!(!data.is_empty());
            }
        }
    }
}
