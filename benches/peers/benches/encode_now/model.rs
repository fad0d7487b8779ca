//! The two strategies behind one interface, and the encoder that both use.

/// A field's value as a visitor of `tracing` gets it: a string may live no longer than the call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Number(i64),
    Truth(bool),
}

/// What a layer does between a span's birth and its end.
pub(crate) trait Strategy {
    type Open;

    fn open(&mut self, ids: Ids, name: &'static str, start: u64) -> Self::Open;
    fn attribute(open: &mut Self::Open, key: &'static str, value: Value<'_>);
    fn event(open: &mut Self::Open, name: &str, time: u64, key: &'static str, value: Value<'_>);
    fn close(&mut self, open: Self::Open, end: u64);
}

/// A span's place in its trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    trace: u128,
    span: u64,
    parent: u64,
}

/// The request workload; times and ids come from its number, since both strategies need them.
pub(crate) fn request<S: Strategy>(strategy: &mut S, number: u64) {
    let ids = |span, parent| Ids {
        trace: u128::from(number),
        span,
        parent,
    };
    let mut outer = strategy.open(ids(number, 0), "GET /orders/{id}", number);
    S::attribute(&mut outer, "http.request.method", Value::Text("GET"));
    S::attribute(&mut outer, "http.route", Value::Text("/orders/{id}"));
    S::attribute(&mut outer, "http.response.status_code", Value::Number(200));
    S::attribute(&mut outer, "order.id", Value::Number(number as i64));

    let mut inner = strategy.open(ids(number ^ 1, number), "SELECT orders", number);
    let query = "SELECT * FROM orders WHERE id = $1";
    S::attribute(&mut inner, "db.system.name", Value::Text("postgresql"));
    S::attribute(&mut inner, "db.query.text", Value::Text(query));
    S::attribute(&mut inner, "db.response.returned_rows", Value::Number(7));
    S::attribute(&mut inner, "cached", Value::Truth(false));
    S::event(&mut inner, "rows read", number, "rows", Value::Number(7));
    strategy.close(inner, number);
    strategy.close(outer, number);
}

/// Encodes at once into a buffer of the span's own, which is appended to a chunk at the end.
#[derive(Debug)]
pub(crate) struct Now {
    pub(crate) chunk: Vec<u8>,
    /// Buffers of closed spans, for the next ones.
    pool: Vec<Vec<u8>>,
}

impl Now {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            chunk: Vec::with_capacity(bytes),
            pool: Vec::new(),
        }
    }
}

impl Strategy for Now {
    type Open = Vec<u8>;

    fn open(&mut self, ids: Ids, name: &'static str, start: u64) -> Vec<u8> {
        let mut span = self.pool.pop().unwrap_or_default();
        put_begin(&mut span, ids, name, start);
        span
    }

    fn attribute(open: &mut Vec<u8>, key: &'static str, value: Value<'_>) {
        put_attribute(open, 9, key, value);
    }

    fn event(open: &mut Vec<u8>, name: &str, time: u64, key: &'static str, value: Value<'_>) {
        put_event(open, name, time, [(key, value)]);
    }

    fn close(&mut self, mut open: Vec<u8>, end: u64) {
        put_fixed(&mut open, 8, end);
        put_bytes(&mut self.chunk, 2, &open);
        open.clear();
        self.pool.push(open);
    }
}

/// Copies what the visitor gets.
#[derive(Debug)]
pub(crate) struct Later {
    pub(crate) batch: Vec<OwnedSpan>,
}

impl Later {
    pub(crate) fn with_capacity(spans: usize) -> Self {
        Self {
            batch: Vec::with_capacity(spans),
        }
    }
}

/// A value that outlives the call.
#[derive(Debug)]
pub(crate) enum Owned {
    Text(String),
    Number(i64),
    Truth(bool),
}

type Attributes = Vec<(&'static str, Owned)>;

/// Name, time and attributes.
type OwnedEvent = (String, u64, Attributes);

/// A span to be encoded by another thread.
#[derive(Debug)]
pub(crate) struct OwnedSpan {
    ids: Ids,
    name: &'static str,
    start: u64,
    end: u64,
    attributes: Attributes,
    events: Vec<OwnedEvent>,
}

impl Strategy for Later {
    type Open = OwnedSpan;

    fn open(&mut self, ids: Ids, name: &'static str, start: u64) -> OwnedSpan {
        OwnedSpan {
            ids,
            name,
            start,
            end: 0,
            // A callsite knows how many fields it has.
            attributes: Vec::with_capacity(4),
            events: Vec::new(),
        }
    }

    fn attribute(open: &mut OwnedSpan, key: &'static str, value: Value<'_>) {
        open.attributes.push((key, value.to_owned()));
    }

    fn event(open: &mut OwnedSpan, name: &str, time: u64, key: &'static str, value: Value<'_>) {
        let attributes = vec![(key, value.to_owned())];
        open.events.push((name.to_owned(), time, attributes));
    }

    fn close(&mut self, mut open: OwnedSpan, end: u64) {
        open.end = end;
        self.batch.push(open);
    }
}

impl Value<'_> {
    fn to_owned(self) -> Owned {
        match self {
            Self::Text(text) => Owned::Text(text.to_owned()),
            Self::Number(number) => Owned::Number(number),
            Self::Truth(truth) => Owned::Truth(truth),
        }
    }
}

impl Owned {
    fn borrow(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Number(number) => Value::Number(*number),
            Self::Truth(truth) => Value::Truth(*truth),
        }
    }
}

/// Encodes a copied span to the same bytes as [`Now`] writes.
pub(crate) fn encode(chunk: &mut Vec<u8>, span: &OwnedSpan) {
    thread_local! {
        static SCRATCH: std::cell::Cell<Vec<u8>> = const { std::cell::Cell::new(Vec::new()) };
    }
    SCRATCH.with(|scratch| {
        let mut bytes = scratch.take();
        put_begin(&mut bytes, span.ids, span.name, span.start);
        for (key, value) in &span.attributes {
            put_attribute(&mut bytes, 9, key, value.borrow());
        }
        for (name, time, attributes) in &span.events {
            let attributes = attributes.iter().map(|(key, value)| (*key, value.borrow()));
            put_event(&mut bytes, name, *time, attributes);
        }
        put_fixed(&mut bytes, 8, span.end);
        put_bytes(chunk, 2, &bytes);
        bytes.clear();
        scratch.set(bytes);
    });
}

fn put_begin(bytes: &mut Vec<u8>, ids: Ids, name: &str, start: u64) {
    put_bytes(bytes, 1, &ids.trace.to_be_bytes());
    put_bytes(bytes, 2, &ids.span.to_be_bytes());
    if ids.parent != 0 {
        put_bytes(bytes, 4, &ids.parent.to_be_bytes());
    }
    put_bytes(bytes, 5, name.as_bytes());
    put_fixed(bytes, 7, start);
}

fn put_event<'a>(
    bytes: &mut Vec<u8>,
    name: &str,
    time: u64,
    attributes: impl IntoIterator<Item = (&'static str, Value<'a>)>,
) {
    put_message(bytes, 11, |bytes| {
        put_fixed(bytes, 1, time);
        put_bytes(bytes, 2, name.as_bytes());
        for (key, value) in attributes {
            put_attribute(bytes, 3, key, value);
        }
    });
}

fn put_attribute(bytes: &mut Vec<u8>, field: u8, key: &str, value: Value<'_>) {
    put_message(bytes, field, |bytes| {
        put_bytes(bytes, 1, key.as_bytes());
        put_message(bytes, 2, |bytes| match value {
            Value::Text(text) => put_bytes(bytes, 1, text.as_bytes()),
            Value::Truth(truth) => bytes.extend([2 << 3, u8::from(truth)]),
            Value::Number(number) => {
                bytes.push(3 << 3);
                put_varint(bytes, number as u64);
            }
        });
    });
}

/// A length of two bytes is enough here, and needs no second pass.
fn put_message(bytes: &mut Vec<u8>, field: u8, content: impl FnOnce(&mut Vec<u8>)) {
    bytes.extend([field << 3 | 2, 0, 0]);
    let begin = bytes.len();
    content(bytes);
    let length = bytes.len() - begin;
    bytes[begin - 2] = length as u8 | 0x80;
    bytes[begin - 1] = (length >> 7) as u8;
}

fn put_bytes(bytes: &mut Vec<u8>, field: u8, content: &[u8]) {
    bytes.push(field << 3 | 2);
    put_varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

fn put_fixed(bytes: &mut Vec<u8>, field: u8, value: u64) {
    bytes.push(field << 3 | 1);
    bytes.extend_from_slice(&value.to_le_bytes());
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
