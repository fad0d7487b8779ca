//! A small shop, instrumented with `tracing` and nothing else.

use std::time::Duration;
use std::{io, thread};

use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{Instrument, Span, field, info, instrument, warn};

/// One order, and beside it a task that has nothing to do with it, and three health checks: five traces.
pub(crate) fn run() -> io::Result<()> {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()?;
    runtime.block_on(async {
        let (receipt, (), ()) = tokio::join!(checkout(1042), refresh_prices(), watch_health());
        receipt.join_all().await;
    });
    Ok(())
}

/// `total_eur` is declared here and recorded when it is known. The receipt is still on its way
/// when this returns.
#[instrument(fields(total_eur = field::Empty))]
async fn checkout(order: u64) -> JoinSet<()> {
    let cart = load_cart();
    let (goods, shipping) = tokio::join!(reserve(cart), quote_shipping("DE"));
    Span::current().record("total_eur", goods + shipping);

    if charge_card("visa").await.is_err() {
        warn!(next = "maestro", "trying another card");
        // The second card always works; a real shop would look at this result too.
        let _paid = charge_card("maestro").await;
    }
    let mut receipt = JoinSet::new();
    receipt.spawn(send_receipt("ada@example.com").in_current_span());
    receipt
}

/// What, how many, and for how many euros each.
type Line = (&'static str, u32, f64);

/// Not every function is async.
#[instrument(fields(lines = field::Empty))]
fn load_cart() -> Vec<Line> {
    thread::sleep(Duration::from_millis(5));
    let cart = parse_cart();
    Span::current().record("lines", cart.len());
    cart
}

#[instrument]
fn parse_cart() -> Vec<Line> {
    thread::sleep(Duration::from_millis(8));
    vec![("sencha", 2, 9.5), ("teapot", 1, 32.0), ("honey", 3, 4.25)]
}

/// A task for each line. A spawned task is in the span that it is told to be in.
#[instrument(skip_all)]
async fn reserve(cart: Vec<Line>) -> f64 {
    let mut tasks = JoinSet::new();
    for (sku, quantity, price) in cart {
        tasks.spawn(reserve_item(sku, quantity, price).in_current_span());
    }
    tasks.join_all().await.into_iter().sum()
}

#[instrument(skip(price))]
async fn reserve_item(sku: &str, quantity: u32, price: f64) -> f64 {
    sleep(Duration::from_millis(50 / u64::from(quantity))).await;
    if quantity > 2 {
        info!(left = 1, "almost sold out");
    }
    f64::from(quantity) * price
}

#[instrument]
async fn quote_shipping(country: &str) -> f64 {
    sleep(Duration::from_millis(31)).await;
    4.9
}

/// `err` turns the `Err` into an event, and the event sets the status of the span.
#[instrument(err)]
async fn charge_card(card: &str) -> io::Result<()> {
    sleep(Duration::from_millis(27)).await;
    if card == "visa" {
        return Err(io::Error::other("card declined"));
    }
    info!(bank.code = "00", "authorised");
    sleep(Duration::from_millis(12)).await;
    Ok(())
}

#[instrument]
async fn send_receipt(to: &str) {
    sleep(Duration::from_millis(22)).await;
}

async fn watch_health() {
    for _ in 0..3 {
        is_healthy();
        sleep(Duration::from_millis(20)).await;
    }
}

/// Of interest only where it fails.
#[instrument]
fn is_healthy() -> bool {
    true
}

/// Called beside `checkout`, not inside it, so it begins a trace of its own.
#[instrument(fields(changed = field::Empty))]
async fn refresh_prices() {
    sleep(Duration::from_millis(40)).await;
    info!(usd = 1.083, "exchange rate");
    sleep(Duration::from_millis(32)).await;
    Span::current().record("changed", 17);
}
