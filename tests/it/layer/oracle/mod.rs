//! Random programs, against a model of maps and vectors that knows nothing of encoding.

mod agreement;
mod model;
mod program;
mod run;
mod values;

use proptest::prelude::*;
use proptest::test_runner::Config;

use self::program::{Program, program};

/// `PROPTEST_CASES` says how many.
fn config() -> Config {
    Config {
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

    /// R10: the same events as logs and as span events agree, whatever they say.
    #[test]
    fn events_as_logs_and_as_span_events_agree(mut program in program()) {
        let settings = &mut program.settings;
        // Those of logs.
        (settings.events, settings.attributes_per_event, settings.value_length) = (128, 128, None);
        let (spans, logs) = run::run_with_logs(&program);
        agreement::check(&spans, &logs);
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
