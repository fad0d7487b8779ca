use super::*;
use crate::resource::tests::Tree;

const MIB: u64 = 1 << 20;

fn read(version: Version, files: &[(&str, &str)]) -> Reading {
    let place = Place {
        version,
        folders: vec!["/pod/app".to_owned(), "/pod".to_owned()],
    };
    Reading::take(&Tree::new(files).world(&[]), &place)
}

#[test]
fn the_smallest_limit_counts_and_whatever_has_least_left() {
    let reading = read(
        Version::Two,
        &[
            ("/pod/app/memory.max", "max\n"),
            ("/pod/app/memory.high", "268435456\n"),
            ("/pod/app/memory.current", "104857600\n"),
            (
                "/pod/app/memory.pressure",
                "some avg10=3.50 avg60=1.00 avg300=0.00 total=9\nfull avg10=9.00\n",
            ),
            ("/pod/memory.max", "536870912\n"),
            ("/pod/memory.high", "max\n"),
            ("/pod/memory.current", "471859200\n"),
            ("/pod/memory.pressure", "some avg10=1.25 avg60=0.00\n"),
        ],
    );
    assert_eq!(reading.limit, Some(256 * MIB));
    // 480 of 512 MiB may be used, and 450 are: less than what the own cgroup has, 240 less 100.
    assert_eq!(reading.spare, Some(30 * MIB as i64));
    assert_eq!(reading.stalled, 3.5);
}

#[test]
fn what_the_kernel_gives_up_first_is_as_good_as_free() {
    let with = |stat: &str| {
        let files = [
            ("/pod/memory.max", "16777216"),
            ("/pod/memory.current", "16777216"),
            ("/pod/memory.stat", stat),
        ];
        read(Version::Two, &files).spare
    };
    assert_eq!(with(""), Some(-(MIB as i64)));
    let stat = "anon 8388608\ninactive_file_x 1\ninactive_file 4194304\nactive_file 4194304\n";
    assert_eq!(with(stat), Some(3 * MIB as i64));
    assert_eq!(with("inactive_file 99999999999\n"), Some(15 * MIB as i64));
    assert_eq!(with("inactive_file many\n"), Some(-(MIB as i64)));
}

#[test]
fn the_first_version_has_other_names_and_no_pressure() {
    let reading = read(
        Version::One,
        &[
            ("/pod/app/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/pod/app/memory.usage_in_bytes", "1\n"),
            ("/pod/memory.limit_in_bytes", "67108864\n"),
            ("/pod/memory.usage_in_bytes", "67108864\n"),
            (
                "/pod/memory.stat",
                "inactive_file 1\ntotal_inactive_file 33554432\n",
            ),
            ("/pod/memory.pressure", "some avg10=99.00\n"),
        ],
    );
    assert_eq!(reading.limit, Some(64 * MIB));
    assert_eq!(reading.spare, Some(28 * MIB as i64));
    assert_eq!(reading.stalled, 0.0);
}

#[test]
fn what_is_not_there_or_cannot_be_read_says_nothing() {
    assert_eq!(read(Version::Two, &[]), Reading::NOTHING);
    assert_eq!(read(Version::One, &[]), Reading::NOTHING);
    let odd = read(
        Version::Two,
        &[
            ("/pod/memory.max", "lots"),
            ("/pod/memory.high", "-5"),
            ("/pod/memory.current", "7"),
            ("/pod/memory.pressure", "some avg10=NaN\n"),
            ("/pod/app/memory.pressure", "some avg10=\nfull"),
        ],
    );
    assert_eq!(odd, Reading::NOTHING);
    let zero = read(Version::Two, &[("/pod/memory.max", "0")]);
    assert_eq!((zero.limit, zero.spare), (Some(0), None));
}
