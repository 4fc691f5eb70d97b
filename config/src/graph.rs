//! The stage graph as numbers: cycles, order and reach.
//!
//! `edges[n]` holds the stages that stage `n` leads to. With at most 256 stages of three edges each, nothing here needs
//! to be clever.

/// A cycle, as the stages on it, if there is one; the search begins with stage 0.
pub(crate) fn find_cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    /// Not seen, on the path from the start of the search, or known to lead into no cycle.
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for start in 0..edges.len() {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::OnPath;
        // Each stage on the path, with the number of its edges already followed.
        let mut path = vec![(start, 0)];
        while let Some((stage, followed)) = path.last_mut() {
            let Some(&next) = edges[*stage].get(*followed) else {
                marks[*stage] = Mark::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            match marks[next] {
                Mark::New => {
                    marks[next] = Mark::OnPath;
                    path.push((next, 0));
                }
                Mark::OnPath => {
                    let stages = path.iter().map(|(stage, _)| *stage);
                    return Some(stages.skip_while(|stage| *stage != next).collect());
                }
                Mark::Done => {}
            }
        }
    }
    None
}

/// One cycle for each knot in the graph: every graph without one edge of each of them has none.
pub(crate) fn cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut edges = edges.to_vec();
    let mut found = Vec::new();
    while let Some(cycle) = find_cycle(&edges) {
        let (first, last) = (cycle[0], cycle[cycle.len() - 1]);
        edges[last].retain(|next| *next != first);
        found.push(cycle);
    }
    found
}

/// The stages in topological order, those that stand first in the file first where the edges leave a choice. Stages on
/// a cycle, or behind one, are left out.
pub(crate) fn order(edges: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting = vec![0_usize; edges.len()];
    for next in edges.iter().flatten() {
        waiting[*next] += 1;
    }
    let mut ready: std::collections::BTreeSet<usize> =
        (0..edges.len()).filter(|stage| waiting[*stage] == 0).collect();
    let mut order = Vec::with_capacity(edges.len());
    while let Some(stage) = ready.pop_first() {
        order.push(stage);
        for next in &edges[stage] {
            waiting[*next] -= 1;
            if waiting[*next] == 0 {
                ready.insert(*next);
            }
        }
    }
    order
}

/// Which stages can be reached from `starts`.
pub(crate) fn reach(edges: &[Vec<usize>], starts: impl IntoIterator<Item = usize>) -> Vec<bool> {
    let mut reached = vec![false; edges.len()];
    let mut open: Vec<usize> = starts.into_iter().collect();
    while let Some(stage) = open.pop() {
        if !reached[stage] {
            reached[stage] = true;
            open.extend(&edges[stage]);
        }
    }
    reached
}
