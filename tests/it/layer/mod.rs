//! What the layer makes of spans and events, against the decoded bytes.
