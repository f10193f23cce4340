//! Records as columns: which ones are shown, and how rows of text become records.
//!
//! Every text form of a record begins with its id. It is passed over when rows come in, so that
//! what was written can be read again.

pub(crate) mod cell;
pub(crate) mod csv;
pub(crate) mod ndjson;
pub(crate) mod table;

use ringkeep::{Field, Schema};

use crate::exit::Failure;

/// The name of the id, which no field has.
pub(crate) const ID: &str = "id";
/// An archive can have an array of millions of values, which nobody reads as columns.
const COLUMNS_MAX: usize = 1 << 16;

/// What is shown of a record, in order.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Id,
    /// A field, whole.
    Field(Field),
    /// One value of an array.
    Element(Field, usize),
}

impl Item {
    /// The one of this name; `pos` is a whole field, `pos.1` the second value of an array.
    fn named(schema: &Schema, name: &str) -> Option<Self> {
        if name == ID {
            return Some(Self::Id);
        }
        if let Some(field) = schema.field(name) {
            return Some(Self::Field(field.clone()));
        }
        let (array, index) = name.rsplit_once('.')?;
        let field = schema.field(array)?;
        let index = index.parse().ok().filter(|&index| index < field.values())?;
        field.array.map(|_| Self::Element(field.clone(), index))
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Id => ID.to_owned(),
            Self::Field(field) => field.name.to_string(),
            Self::Element(field, index) => format!("{}.{index}", field.name),
        }
    }

    /// The same as single values: an array becomes its elements.
    fn flat(&self) -> Vec<Self> {
        match self {
            Self::Field(field) if field.array.is_some() => {
                (0..field.values()).map(|index| Self::Element(field.clone(), index)).collect()
            }
            other => vec![other.clone()],
        }
    }

    pub(crate) fn field(&self) -> Option<(&Field, usize)> {
        match self {
            Self::Id => None,
            Self::Field(field) => Some((field, 0)),
            Self::Element(field, index) => Some((field, *index)),
        }
    }
}

/// Everything but padding, or the ones that were named.
pub(crate) fn items(schema: &Schema, names: &[String]) -> Result<Vec<Item>, Failure> {
    if names.is_empty() {
        let fields = schema.fields().iter().filter(|field| !field.is_padding());
        return Ok([Item::Id].into_iter().chain(fields.cloned().map(Item::Field)).collect());
    }
    let item = |name: &String| {
        if let Some(item) = Item::named(schema, name) {
            return Ok(item);
        }
        let known: Vec<String> = items(schema, &[])?.iter().map(Item::name).collect();
        let known = known.join(", ");
        Err(Failure::wrong_use(format!("there is no field '{name}'; there are {known}")))
    };
    names.iter().map(item).collect()
}

/// Single values only, as CSV and tables show them.
pub(crate) fn flat(items: &[Item]) -> Result<Vec<Item>, Failure> {
    let values = |item: &Item| match item {
        Item::Field(field) => field.values(),
        _ => 1,
    };
    let count = items.iter().map(values).fold(0_usize, usize::saturating_add);
    if count > COLUMNS_MAX {
        return Err(Failure::wrong_use(format!(
            "{count} columns are too many: choose some with --fields, or --format raw or hex"
        )));
    }
    Ok(items.iter().flat_map(Item::flat).collect())
}
