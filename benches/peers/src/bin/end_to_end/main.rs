//! Each stack from the application's call to a collector in another process, over gRPC.
//!
//! ```text
//! cargo run --release -p peers --bin end_to_end [-- --quick] [--runs 5] [--seconds 3]
//!     [--rate 20000] [--requests 400000] [--step-seconds 2] [--hold-seconds 2]
//! ```
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
//! The program ends by itself, uses the loopback only, and prints Markdown.

use std::io;

use peers::allocations::Counting;
use peers::arguments::Arguments;
use peers::machine;
use peers::receiver;

mod application;
mod compare;
mod rate;
mod tables;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> io::Result<()> {
    let arguments = Arguments::of_process();
    match arguments.role() {
        Some(receiver::ROLE) => receiver::serve(),
        Some(application::ROLE) => {
            application::run(&arguments);
            Ok(())
        }
        _ => {
            let results = compare::all(&compare::Options::new(&arguments))?;
            println!("{}\n", machine::description());
            println!("{}", tables::main(&results).markdown());
            print!("{}", tables::relative(&results).markdown());
            Ok(())
        }
    }
}
