//! A bar chart as SVG text: groups of bars that lie below each other, each with its number.

use std::fmt::Write;

use crate::table::thousands;

const WIDTH: f64 = 840.0;
const NAMES: f64 = 390.0;
/// Behind the longest bar, for its number.
const NUMBERS: f64 = 80.0;
const BAR: f64 = 18.0;
const STEP: f64 = 26.0;
const TITLE: f64 = 34.0;
const MARGIN: f64 = 12.0;

/// Bars of one scale.
#[derive(Debug)]
pub struct Group {
    title: String,
    bars: Vec<Bar>,
}

#[derive(Debug)]
struct Bar {
    name: String,
    value: f64,
    is_ours: bool,
}

impl Group {
    /// A group without bars.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            bars: Vec::new(),
        }
    }

    /// Adds a bar; ours has a colour of its own.
    pub fn bar(&mut self, name: &str, value: f64, is_ours: bool) {
        self.bars.push(Bar {
            name: name.to_owned(),
            value,
            is_ours,
        });
    }

    fn height(&self) -> f64 {
        TITLE + self.bars.len() as f64 * STEP
    }

    /// Writing to a `String` cannot fail.
    fn draw(&self, text: &mut String, top: f64) {
        let most = self.bars.iter().map(|bar| bar.value).fold(1.0, f64::max);
        let scale = (WIDTH - NAMES - NUMBERS - MARGIN) / most;
        let title = escaped(&self.title);
        let baseline = top + TITLE - 12.0;
        let _ = writeln!(
            text,
            r#"<text class="title" x="{MARGIN}" y="{baseline:.0}">{title}</text>"#
        );
        for (number, bar) in self.bars.iter().enumerate() {
            let y = top + TITLE + number as f64 * STEP;
            let (class, length) = (
                if bar.is_ours { "ours" } else { "other" },
                bar.value * scale,
            );
            let (name, value) = (escaped(&bar.name), thousands(bar.value));
            let (middle, end, behind) = (y + BAR - 5.0, NAMES - 8.0, NAMES + length + 6.0);
            let _ = writeln!(
                text,
                r#"<text class="name" x="{end:.0}" y="{middle:.0}">{name}</text>
<rect class="{class}" x="{NAMES:.0}" y="{y:.0}" width="{length:.1}" height="{BAR:.0}"/>
<text x="{behind:.1}" y="{middle:.0}">{value}</text>"#
            );
        }
    }
}

/// The groups below each other, and a last line about where the numbers come from. Readable on light and dark pages.
pub fn svg(groups: &[Group], source: &str) -> String {
    let height = groups.iter().map(Group::height).sum::<f64>() + 3.0 * MARGIN;
    let mut text = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:.0}" height="{height:.0}" viewBox="0 0 {WIDTH:.0} {height:.0}" role="img">
<style>
text {{ font: 13px sans-serif; fill: #57606a; }}
.title {{ font-weight: bold; }}
.name {{ text-anchor: end; }}
.source {{ font-size: 11px; }}
.ours {{ fill: #1a7f37; }}
.other {{ fill: #8c959f; }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #9198a1; }} .ours {{ fill: #3fb950; }} .other {{ fill: #6e7681; }} }}
</style>
"##
    );
    let mut top = 0.0;
    for group in groups {
        group.draw(&mut text, top);
        top += group.height();
    }
    let (source, last) = (escaped(source), height - MARGIN);
    let _ = writeln!(
        text,
        r#"<text class="source" x="{MARGIN}" y="{last:.0}">{source}</text>"#
    );
    text.push_str("</svg>\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_numbers_are_large() {
        let mut group = Group::new("ns & more");
        group.bar("ours", 100.0, true);
        group.bar("theirs", 1_000.0, false);
        let text = svg(&[group], "<here>");
        let lengths: Vec<f64> = text
            .lines()
            .filter_map(|line| line.strip_prefix("<rect")?.split("width=\"").nth(1))
            .filter_map(|rest| rest.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(lengths.len(), 2);
        assert!((lengths[1] / lengths[0] - 10.0).abs() < 0.1, "{lengths:?}");
        assert!(text.contains("ns &amp; more") && text.contains("&lt;here&gt;"));
        assert!(text.contains(">1,000<") && text.ends_with("</svg>\n"));
    }
}
