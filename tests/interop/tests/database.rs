//! A database that is traced by spans of `tracing` alone. Its connection has a thread of its own, on which spans are closed: the Registry finds their parents
//! by the default subscriber there, so this has a process of its own, with a global one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use sqlx::Row;
use sqlx::sqlite::SqlitePoolOptions;
use tracing::{Instrument, info_span};
use tracing_otlp::{SpanKind, Status};
use tracing_subscriber::prelude::*;

use interop::Pipeline;

async fn ask(pool: &sqlx_tracing::Pool<sqlx::Sqlite>) {
    sqlx::query("create table users (id integer, name text)")
        .execute(pool)
        .await
        .unwrap();
    let row = sqlx::query("select 6 * 7 as answer").fetch_one(pool).await;
    assert_eq!(row.unwrap().get::<i64, _>("answer"), 42);
    let failed = sqlx::query("select * from nowhere").fetch_all(pool).await;
    assert!(failed.is_err());
}

#[test]
fn sqlx_with_sqlx_tracing() {
    let (layer, pipeline) = Pipeline::new();
    tracing_subscriber::registry().with(layer).init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let options = SqlitePoolOptions::new().max_connections(1);
        let memory = options.connect("sqlite::memory:").await.unwrap();
        let pool = sqlx_tracing::Pool::from(memory.clone());
        ask(&pool).instrument(info_span!("request")).await;
        // The thread of its connection has the span for a moment longer.
        memory.close().await;
    });
    let spans = pipeline.spans();
    assert_eq!(spans.len(), 4, "{:?}", spans.names());
    spans.assert_root("request");
    for (name, statement) in [
        ("sqlx.execute", "create table users (id integer, name text)"),
        ("sqlx.fetch_one", "select 6 * 7 as answer"),
        ("sqlx.fetch_all", "select * from nowhere"),
    ] {
        spans.assert_child(name, "request");
        let span = spans.named(name);
        assert_eq!(span.kind, SpanKind::Client);
        assert_eq!(span.attribute("db.system.name"), Some(&"sqlite".into()));
        assert_eq!(span.attribute("db.query.text"), Some(&statement.into()));
        assert!(
            span.end_time_unix_nano > span.start_time_unix_nano,
            "{name}"
        );
    }
    let returned = spans.named("sqlx.fetch_one");
    assert_eq!(
        returned.attribute("db.response.returned_rows"),
        Some(&1.into())
    );
    let failed = spans.named("sqlx.fetch_all");
    let Status::Error(description) = &failed.status else {
        panic!("{:?}", failed.status);
    };
    assert!(description.contains("nowhere"), "{description}");
}
