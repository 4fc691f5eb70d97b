//! What somebody changed in a file of ours, line by line.

/// The most lines of either text that are compared; drop-ins are far shorter.
const MOST: usize = 500;

/// Lines that are only in `ours` begin with `-`, those only in `theirs` with `+`, the others with a blank.
pub(crate) fn lines(ours: &str, theirs: &str) -> String {
    let ours: Vec<&str> = ours.lines().take(MOST).collect();
    let theirs: Vec<&str> = theirs.lines().take(MOST).collect();
    // The length of the longest common subsequence of what follows, for each pair of places.
    let mut common = vec![vec![0_usize; theirs.len() + 1]; ours.len() + 1];
    for (i, one) in ours.iter().enumerate().rev() {
        for (j, other) in theirs.iter().enumerate().rev() {
            common[i][j] = if one == other {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let mut text = String::new();
    let mut add = |sign: char, line: &str| {
        let plain: String =
            line.chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }).collect();
        text.push(sign);
        text.push_str(&plain);
        text.push('\n');
    };
    let (mut i, mut j) = (0, 0);
    while i < ours.len() || j < theirs.len() {
        if i < ours.len() && j < theirs.len() && ours[i] == theirs[j] {
            add(' ', ours[i]);
            (i, j) = (i + 1, j + 1);
        } else if i < ours.len() && (j == theirs.len() || common[i + 1][j] >= common[i][j + 1]) {
            add('-', ours[i]);
            i += 1;
        } else {
            add('+', theirs[j]);
            j += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn what_is_theirs_and_what_was_ours_is_told_apart() {
        assert_eq!(lines("a\nb\nc\n", "a\nx\nc\nd\n"), " a\n-b\n+x\n c\n+d\n");
        assert_eq!(lines("", "\u{1b}[31m\n"), "+?[31m\n");
    }
}
