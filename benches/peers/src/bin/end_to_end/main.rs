//! From the application's call to a collector in another process: each stack over gRPC, ours over
//! each transport, and ours without a collector.
//!
//! ```text
//! cargo run --release -p peers --bin end_to_end [-- --quick] [--runs 5] [--seconds 3]
//!     [--rate 20000] [--requests 400000] [--step-seconds 2] [--hold-seconds 2]
//!     [--dead-rate 1000] [--dead-seconds 20] [--stacks] [--transports] [--dead] [--keep] [--chart PATH]
//! ```
//!
//! `--stacks`, `--transports`, `--dead` and `--keep` choose what is run; all is, when none is named. `--chart` draws the CPU of the stacks
//! as SVG.
//!
//! - *CPU*: paced at `--rate` requests a second, which no stack loses spans at, so it is the cost
//!   of spans that arrived. The application's is that of its thread inside the requests; the
//!   process's includes the exporter, the flush at the end and the sleeps. Medians of `--runs`
//!   runs of `--seconds`, stacks interleaved.
//! - *Allocations*: calls to the allocator in a paced run of their own, after a warm-up.
//! - *Full speed*: `--requests` requests without a pause; what arrived, and the peak of resident
//!   memory.
//! - *Highest rate*: the most spans a second from one thread, paced, of which none is lost. Found
//!   by bisection with steps of `--step-seconds`, then held for `--hold-seconds`. A queue can hide
//!   an overload for the length of a step, so hold longer for numbers to publish.
//!
//! - *By transport*: the same CPU, and the bytes of the bodies that the receiver took, for each
//!   request of the application. What is lost is what did not arrive, or, where the receiver
//!   cannot count, what ours says that it did not deliver.
//!   The requests are much alike, so they compress better than those of most programs.
//! - *Not every trace is kept*: the same CPU and the peak of resident memory, with head and with tail sampling.
//! - *Collector refuses*: CPU of the exporter's threads and of the process, while nothing listens.
//!
//! The program ends by itself, uses the loopback only, and prints Markdown.

use std::fs;
use std::io;

use peers::allocations::Counting;
use peers::arguments::Arguments;
use peers::machine;
use peers::receiver;

mod application;
mod compare;
mod dead;
mod keep;
mod rate;
mod tables;
mod transports;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FLAGS: [&str; 14] = [
    "--quick",
    "--runs 5",
    "--seconds 3",
    "--rate 20000",
    "--requests 400000",
    "--step-seconds 2",
    "--hold-seconds 2",
    "--dead-rate 1000",
    "--dead-seconds 20",
    "--stacks",
    "--transports",
    "--dead",
    "--keep",
    "--chart PATH",
];

fn main() -> io::Result<()> {
    let arguments = Arguments::of_process(&FLAGS);
    match arguments.role() {
        Some(receiver::ROLE) => receiver::serve(),
        Some(application::ROLE) => {
            application::run(&arguments);
            Ok(())
        }
        Some(dead::ROLE) => {
            dead::run(&arguments);
            Ok(())
        }
        _ => print(&arguments),
    }
}

fn print(arguments: &Arguments) -> io::Result<()> {
    let options = compare::Options::new(arguments);
    let parts = ["--stacks", "--transports", "--dead", "--keep"];
    let none_is_named = !parts.iter().any(|part| arguments.has(part));
    let [stacks, transports, dead, keep] = parts.map(|part| none_is_named || arguments.has(part));
    println!("{}", machine::description());
    if stacks {
        let results = compare::all(&options)?;
        println!("\n{}", tables::main(&results).markdown());
        print!("{}", tables::relative(&results).markdown());
        let path: String = arguments.value("--chart", String::new());
        if !path.is_empty() {
            fs::write(path, tables::chart(&results))?;
        }
    }
    if transports {
        print!("\n{}", transports::table(&options)?.markdown());
    }
    if dead {
        print!("\n{}", dead::table(arguments).markdown());
    }
    if keep {
        print!("\n{}", keep::table(&options)?.markdown());
    }
    Ok(())
}
