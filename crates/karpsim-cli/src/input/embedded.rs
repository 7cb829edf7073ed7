//! The catalogues that the program carries, each read when it is first asked for.

use karpsim::catalogue::{self, Catalogue};
use karpsim::problem::{Place, Problem, ProblemKind, near_miss};
use std::io::Read;
use std::sync::{Arc, OnceLock};

struct Embedded {
    name: &'static str,
    packed: &'static [u8],
    read: OnceLock<Result<Arc<Catalogue>, Problem>>,
}

macro_rules! embedded {
    ($name:literal, $file:literal) => {
        Embedded {
            name: $name,
            packed: include_bytes!(concat!("../../../../data/catalogues/", $file, ".json.zst")),
            read: OnceLock::new(),
        }
    };
}

static EMBEDDED: [Embedded; 6] = [
    embedded!("aws/cn-north-1", "aws-cn-north-1"),
    embedded!("aws/eu-central-1", "aws-eu-central-1"),
    embedded!("aws/us-east-1", "aws-us-east-1"),
    embedded!("aws/us-west-2", "aws-us-west-2"),
    embedded!("azure/eastus", "azure-eastus"),
    embedded!("gcp/us-central1", "gcp-us-central1"),
];

/// Their names, sorted.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|embedded| embedded.name)
}

/// Whether there is one called `name`.
pub(crate) fn is_name(name: &str) -> bool {
    names().any(|known| known == name)
}

/// The catalogue called `name`.
///
/// # Errors
///
/// If there is none.
pub(crate) fn load(name: &str) -> Result<Arc<Catalogue>, Problem> {
    let Some(embedded) = EMBEDDED.iter().find(|embedded| embedded.name == name) else {
        return Err(Problem::new(
            Place::at("catalogue.name"),
            ProblemKind::UnknownName {
                what: "catalogue",
                name: name.to_owned(),
                sought: format!("the built-in catalogues: {}", names().collect::<Vec<_>>().join(", ")),
                near: near_miss(name, names()).map(str::to_owned),
            },
        ));
    };
    embedded.read.get_or_init(|| unpack(embedded)).clone()
}

fn unpack(embedded: &Embedded) -> Result<Arc<Catalogue>, Problem> {
    let damaged = |message: String| {
        let message = format!("the built-in catalogue `{}` is damaged: {message}", embedded.name);
        Problem::new(Place::default(), ProblemKind::Catalogue { message, hint: None })
    };
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(embedded.packed)
        .map_err(|error| damaged(error.to_string()))?
        .read_to_string(&mut text)
        .map_err(|error| damaged(error.to_string()))?;
    catalogue::read(&text).map(Arc::new).map_err(|problem| damaged(problem.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{load, names};

    #[test]
    fn all_of_them_can_be_read() {
        for name in names() {
            let catalogue = load(name).unwrap();
            assert_eq!(format!("{}/{}", catalogue.provider, catalogue.region), name);
            assert!(catalogue.instance_types.len() > 50, "{name}");
        }
    }

    #[test]
    fn a_misspelt_name_has_a_hint() {
        let problem = load("aws/us-west-1").unwrap_err();
        assert_eq!(
            problem.to_string(),
            "`catalogue.name`: catalogue `aws/us-west-1` not found in the built-in catalogues: aws/cn-north-1, \
             aws/eu-central-1, aws/us-east-1, aws/us-west-2, azure/eastus, gcp/us-central1"
        );
        assert_eq!(problem.hint().as_deref(), Some("did you mean `aws/us-west-2`?"));
    }
}
