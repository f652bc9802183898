//! Values: what a row holds.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::Corrupt;

/// The two columns of a value: JSON, which evolves by optional fields and can be read in a database shell, and bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// JSON text.
    pub json: Option<String>,
    /// Bytes.
    pub bin: Option<Bytes>,
}

impl Cell {
    /// A cell with the JSON of a value.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        let json = serde_json::to_string(value).expect("types that are stored have text for the keys of their maps");
        Self { json: Some(json), bin: None }
    }

    /// A cell of bytes alone.
    pub fn bin(bytes: Bytes) -> Self {
        Self { json: None, bin: Some(bytes) }
    }

    /// The value of the JSON column.
    ///
    /// # Errors
    /// [`Corrupt`] when the column is empty or of another shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Corrupt> {
        let json = self.json.as_deref().ok_or(Corrupt("a row without JSON"))?;
        serde_json::from_str(json).map_err(|_| Corrupt("JSON of another shape"))
    }

    /// Bytes in both columns.
    pub fn len(&self) -> usize {
        self.json.as_ref().map_or(0, String::len) + self.bin.as_ref().map_or(0, Bytes::len)
    }

    /// Whether both columns are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What can be the value of a row. For types of serde [`json_value!`](crate::json_value) or the wrapper [`Json`].
pub trait Value: Sized {
    /// The columns.
    fn to_cell(&self) -> Cell;

    /// The value.
    ///
    /// # Errors
    /// [`Corrupt`] when the columns hold no such value.
    fn from_cell(cell: &Cell) -> Result<Self, Corrupt>;
}

/// Stores any type of serde as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize + DeserializeOwned> Value for Json<T> {
    fn to_cell(&self) -> Cell {
        Cell::json(&self.0)
    }

    fn from_cell(cell: &Cell) -> Result<Self, Corrupt> {
        cell.parse().map(Self)
    }
}

/// Implements [`Value`] for types of serde, as JSON: `json_value! { UserRow, HandleRow }`.
#[macro_export]
macro_rules! json_value {
    ($($name:ty),* $(,)?) => {$(
        impl $crate::Value for $name {
            fn to_cell(&self) -> $crate::Cell {
                $crate::Cell::json(self)
            }

            fn from_cell(cell: &$crate::Cell) -> Result<Self, $crate::Corrupt> {
                cell.parse()
            }
        }
    )*};
}

json_value! { String, serde_json::Value }

impl Value for Bytes {
    fn to_cell(&self) -> Cell {
        Cell::bin(self.clone())
    }

    fn from_cell(cell: &Cell) -> Result<Self, Corrupt> {
        cell.bin.clone().ok_or(Corrupt("a row without bytes"))
    }
}

/// For rows whose key says everything.
impl Value for () {
    fn to_cell(&self) -> Cell {
        Cell::default()
    }

    fn from_cell(_: &Cell) -> Result<Self, Corrupt> {
        Ok(())
    }
}
