//! Trees that are linked and cut, whose roots are found however deep they are: link-cut trees (Sleator and
//! Tarjan, 1983), each path of a tree held by a splay tree. Any of it takes logarithmic time on average.

/// A node of the forest, and of the splay tree of its path: what is above it there is to the left.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    /// In the splay tree; for the splay tree's root, what its path hangs from.
    up: Option<usize>,
    left: Option<usize>,
    right: Option<usize>,
}

/// Nodes are named by their places.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    nodes: Vec<Node>,
}

impl Forest {
    /// A forest with those parents, among which there is no loop.
    pub(crate) fn of(parents: impl IntoIterator<Item = Option<usize>>) -> Self {
        let nodes = parents.into_iter().map(|up| Node {
            up,
            ..Node::default()
        });
        Self {
            nodes: nodes.collect(),
        }
    }

    /// Adds a tree of one node.
    pub(crate) fn push(&mut self) {
        self.nodes.push(Node::default());
    }

    /// The root of the tree that the node is in.
    pub(crate) fn root(&mut self, node: usize) -> usize {
        self.access(node);
        let mut root = node;
        while let Some(left) = self.at(root).left {
            root = left;
        }
        // The way was long once; so that it is not again.
        self.splay(root);
        root
    }

    /// Hangs a root below a node of another tree.
    pub(crate) fn link(&mut self, parent: usize, root: usize) {
        self.access(root);
        self.change(root, |node| node.up = Some(parent));
    }

    /// Makes the node a root, with all that is below it.
    pub(crate) fn cut(&mut self, node: usize) {
        self.access(node);
        if let Some(above) = self.at(node).left {
            self.change(above, |above| above.up = None);
            self.change(node, |node| node.left = None);
        }
    }

    fn at(&self, node: usize) -> Node {
        self.nodes.get(node).copied().unwrap_or_default()
    }

    fn change(&mut self, node: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(node) {
            change(node);
        }
    }

    /// Makes the way from the tree's root down to the node one path, with the node at the top of its splay
    /// tree.
    fn access(&mut self, node: usize) {
        let (mut below, mut at) = (None, Some(node));
        while let Some(top) = at {
            self.splay(top);
            self.change(top, |top| top.right = below);
            (below, at) = (Some(top), self.at(top).up);
        }
        self.splay(node);
    }

    /// What is above the node in its splay tree; not what the path hangs from.
    fn above(&self, node: usize) -> Option<usize> {
        let up = self.at(node).up?;
        let Node { left, right, .. } = self.at(up);
        (left == Some(node) || right == Some(node)).then_some(up)
    }

    fn is_left(&self, node: usize, up: usize) -> bool {
        self.at(up).left == Some(node)
    }

    fn splay(&mut self, node: usize) {
        while let Some(up) = self.above(node) {
            if let Some(over) = self.above(up) {
                let straight = self.is_left(node, up) == self.is_left(up, over);
                self.rotate(if straight { up } else { node });
            }
            self.rotate(node);
        }
    }

    /// Puts the node where what is above it is, and that below the node.
    fn rotate(&mut self, node: usize) {
        let Some(up) = self.above(node) else {
            return;
        };
        let (over, hangs) = (self.at(up).up, self.above(up).is_none());
        let inner = if self.is_left(node, up) {
            let inner = self.at(node).right;
            self.change(up, |up| up.left = inner);
            self.change(node, |node| node.right = Some(up));
            inner
        } else {
            let inner = self.at(node).left;
            self.change(up, |up| up.right = inner);
            self.change(node, |node| node.left = Some(up));
            inner
        };
        if let Some(inner) = inner {
            self.change(inner, |inner| inner.up = Some(up));
        }
        if let Some(over) = over.filter(|_| !hangs) {
            let place = |over: &mut Node| match over.left == Some(up) {
                true => over.left = Some(node),
                false => over.right = Some(node),
            };
            self.change(over, place);
        }
        self.change(up, |up| up.up = Some(node));
        self.change(node, |node| node.up = over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn root(parents: &[Option<usize>], mut node: usize) -> usize {
        while let Some(up) = parents[node] {
            node = up;
        }
        node
    }

    proptest! {
        #[test]
        fn roots_are_those_that_the_parents_lead_to(
            first in proptest::collection::vec(any::<proptest::sample::Index>(), 1..24),
            steps in proptest::collection::vec((any::<bool>(), 0_usize..32, 0_usize..32), 0..200),
        ) {
            // A node's parent comes before it, so that there is no loop.
            let mut parents: Vec<Option<usize>> = first
                .iter()
                .enumerate()
                .map(|(at, of)| Some(of.index(at + 1)).filter(|up| *up < at))
                .collect();
            let mut forest = Forest::of(parents.iter().copied());
            parents.push(None);
            forest.push();
            for (link, one, other) in steps {
                let (one, other) = (one % parents.len(), other % parents.len());
                prop_assert_eq!(forest.root(one), root(&parents, one));
                if !link {
                    forest.cut(one);
                    parents[one] = None;
                } else if parents[one].is_none() && forest.root(other) != one {
                    forest.link(other, one);
                    parents[one] = Some(other);
                }
            }
            for node in 0..parents.len() {
                prop_assert_eq!(forest.root(node), root(&parents, node));
            }
        }
    }
}
