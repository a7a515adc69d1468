//! Where Debian's packages come from: the mirror that this machine uses itself.

use std::fs;
use std::path::Path;

/// The mirror that everybody can use.
const DEFAULT: &str = "http://deb.debian.org/debian";

/// The mirror of Debian in this machine's own package sources, or the one for everybody.
pub fn of_this_machine() -> String {
    let apt = Path::new("/etc/apt");
    let more = fs::read_dir(apt.join("sources.list.d")).into_iter().flatten().flatten();
    let mut files: Vec<_> = more.map(|entry| entry.path()).collect();
    files.sort();
    files.insert(0, apt.join("sources.list"));
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.filter_map(|text| first(&text)).next().unwrap_or_else(|| DEFAULT.into())
}

/// The first mirror of Debian itself in a file of sources, in either of apt's two formats. Its path
/// ends in `debian` by convention; `debian-security` is no whole Debian, and Ubuntu is none at all.
fn first(sources: &str) -> Option<String> {
    let lines = sources.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    let mut words = lines.flat_map(str::split_whitespace);
    let is_debian = |word: &&str| {
        let web = word.starts_with("http://") || word.starts_with("https://");
        web && word.trim_end_matches('/').ends_with("/debian")
    };
    words.find(is_debian).map(|mirror| mirror.trim_end_matches('/').into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_found_in_either_format() {
        let list = "# deb http://old.example/debian stable main\n\
                    deb http://security.example/debian-security stable-security main\n\
                    deb [signed-by=/a/key] https://near.example/debian/ stable main\n";
        assert_eq!(first(list).as_deref(), Some("https://near.example/debian"));
        let deb822 = "Types: deb\n# http://old.example/debian\nURIs: http://near.example/debian\n\
                      Suites: trixie\nComponents: main\n";
        assert_eq!(first(deb822).as_deref(), Some("http://near.example/debian"));
    }

    #[test]
    fn what_is_no_mirror_of_debian_is_passed_over() {
        for other in [
            "deb http://archive.example/ubuntu noble main\n",
            "deb http://packages.example/apt stable main\n",
            "deb cdrom:[Debian]/debian trixie main\n",
            "",
        ] {
            assert_eq!(first(other), None, "{other}");
        }
    }
}
