//! How the nodes of launched instances are called.

use karpsim::model::meta::Str;
use karpsim_controller::{draw, name_suffix};
use std::collections::BTreeSet;

/// How nodes are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeNames {
    /// As their NodeClaims.
    AsNodeClaim,
    /// As the provider calls its machines, with what is random drawn with a seed.
    AsProvider { provider: Str, region: Str, seed: u64 },
    /// As their NodeClaims, with something behind it: for tests that names do not decide.
    #[cfg(test)]
    WithSuffix(&'static str),
}

/// Addresses of a subnet that machines do not get: the first four, and those after this.
const LAST_HOST: u64 = 254;

impl NodeNames {
    /// A name for the machine of `node_claim` in `zone` that is not among `taken`, and will be.
    pub(crate) fn next(&self, node_claim: &Str, zone: &str, taken: &mut BTreeSet<Str>) -> Str {
        let mut attempt = 0_u64;
        loop {
            let name = self.candidate(node_claim, zone, attempt);
            if taken.insert(name.clone()) {
                return name;
            }
            attempt += 1;
        }
    }

    fn candidate(&self, node_claim: &Str, zone: &str, attempt: u64) -> Str {
        let plain = || match attempt {
            0 => node_claim.clone(),
            _ => Str::from(format!("{node_claim}-{attempt}")),
        };
        let (provider, region, seed) = match self {
            NodeNames::AsNodeClaim => return plain(),
            #[cfg(test)]
            NodeNames::WithSuffix(suffix) => return Str::from(format!("{}{suffix}", plain())),
            NodeNames::AsProvider { provider, region, seed } => (provider.as_str(), region, *seed),
        };
        let whose = ["node", node_claim, &attempt.to_string()];
        match provider {
            "aws" => {
                let random = draw(seed, &whose);
                let (subnet, host) = (random % 256, 4 + random / 256 % (LAST_HOST - 3));
                let region = if region.is_empty() { region_of(zone) } else { region };
                let domain = match region {
                    "us-east-1" => "ec2.internal".to_owned(),
                    region => format!("{region}.compute.internal"),
                };
                Str::from(format!("ip-10-0-{subnet}-{host}.{domain}"))
            }
            "azure" => Str::from(format!("aks-{}", plain())),
            "gcp" => Str::from(format!("karpenter-{}", plain())),
            "kwok" => {
                let number = draw(seed, &whose) >> 32;
                Str::from(format!("kwok-{node_claim}-{}-{number}", name_suffix(seed, &whose)))
            }
            _ => plain(),
        }
    }
}

/// The region of an availability zone: `us-west-2` of `us-west-2a`.
fn region_of(zone: &str) -> &str {
    zone.trim_end_matches(|letter: char| letter.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::NodeNames;
    use std::collections::BTreeSet;

    fn names(provider: &str, region: &str) -> Vec<String> {
        let names = NodeNames::AsProvider { provider: provider.into(), region: region.into(), seed: 1 };
        let mut taken = BTreeSet::new();
        (0..300).map(|n| names.next(&format!("p-{n}").into(), "us-west-2a", &mut taken).to_string()).collect()
    }

    #[test]
    fn machines_are_called_as_their_provider_does() {
        for (region, domain) in [
            ("us-west-2", ".us-west-2.compute.internal"),
            ("", ".us-west-2.compute.internal"),
            ("us-east-1", ".ec2.internal"),
        ] {
            for name in names("aws", region) {
                let address = name.strip_prefix("ip-10-0-").and_then(|it| it.strip_suffix(domain)).unwrap();
                let (subnet, host) = address.split_once('-').unwrap();
                assert!(subnet.parse::<u8>().is_ok(), "{name}");
                assert!((4..=254).contains(&host.parse::<u8>().unwrap()), "{name}");
            }
        }
        assert_eq!(names("azure", "westeurope")[7], "aks-p-7");
        assert_eq!(names("gcp", "europe-west1")[7], "karpenter-p-7");
        assert!(names("kwok", "")[7].starts_with("kwok-p-7-"));
        assert_eq!(names("fake", "")[7], "p-7");
    }

    #[test]
    fn no_name_is_given_twice() {
        // Two of 300 addresses among 64,256 meet as a rule.
        let distinct: BTreeSet<_> = names("aws", "us-west-2").into_iter().collect();
        assert_eq!(distinct.len(), 300);
        let mut taken = BTreeSet::from(["p-1".into()]);
        assert_eq!(NodeNames::AsNodeClaim.next(&"p-1".into(), "a", &mut taken), "p-1-1");
    }
}
