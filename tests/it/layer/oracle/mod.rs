//! Random programs, against a model of maps and vectors that knows nothing of encoding.

mod model;
mod program;
mod run;
mod values;

use proptest::prelude::*;
use proptest::test_runner::Config;

use self::program::{Program, program};

fn config() -> Config {
    Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Any tree of spans with any names, fields, events and links decodes to what the model says.
    #[test]
    fn a_program_decodes_to_what_the_model_says(program in program()) {
        check(&program);
    }
}

fn check(program: &Program) {
    let spans = run::run(program);
    let model = model::run(program);
    assert_eq!(spans.len(), model.closed.len());
    let ids: Vec<_> = model
        .spans
        .iter()
        .enumerate()
        .map(|(number, _)| {
            let place = model.closed.iter().position(|closed| *closed == number);
            &spans[place.unwrap()].span_id
        })
        .collect();
    for (span, number) in spans.iter().zip(&model.closed) {
        model.spans[*number].assert_is(span, &ids, &model.spans);
    }
}
