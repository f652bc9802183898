//! The JSON of RPCs.

use federation_api::shapes::SHAPES;

/// The name of a shape, a line break, a document. What is read at all means one thing: it is written, read again and
/// written the same. Where the name is none the document is held against every shape.
pub fn rpc_json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (name, document) = text.split_once('\n').unwrap_or(("", text));
    let named: Vec<_> = SHAPES.iter().filter(|shape| shape.name == name).collect();
    let shapes = if named.is_empty() { SHAPES.iter().collect() } else { named };
    for shape in shapes {
        if let Ok(once) = (shape.roundtrip)(document) {
            assert_eq!((shape.roundtrip)(&once), Ok(once.clone()), "{} of {document}", shape.name);
        }
    }
}
