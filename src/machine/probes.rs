//! The hash tables of CPython, simulated: how many slots an insertion would look at. Integers can be
//! chosen so that each insertion walks over all earlier ones.

/// One dict or set, as a table of taken slots.
pub struct Probes {
    set: bool,
    off: bool,
    hashes: Vec<i64>,
    taken: Vec<bool>,
    /// Slots looked at so far.
    pub steps: u64,
}

impl Probes {
    /// An empty dict, or set.
    pub fn new(set: bool) -> Self {
        Self { set, off: false, hashes: Vec::new(), taken: vec![false; 8], steps: 0 }
    }

    /// A container that is not simulated, since the sink has no hash for one of its keys.
    pub fn off() -> Self {
        Self { off: true, ..Self::new(false) }
    }

    /// Whether it is not simulated.
    pub fn is_off(&self) -> bool {
        self.off
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Adds a key that was not there before.
    pub fn insert(&mut self, hash: i64) {
        let used = self.hashes.len() + 1;
        self.hashes.push(hash);
        let size = self.taken.len();
        let full = if self.set { used * 5 >= (size - 1) * 3 } else { used > size * 2 / 3 };
        if full {
            // A dict grows before the key goes in, a set after it.
            let size = if !self.set {
                ((used - 1) * 3).next_power_of_two()
            } else {
                (used * if used > 50_000 { 2 } else { 4 } + 1).next_power_of_two()
            };
            self.taken = vec![false; size.max(8)];
            for index in 0..self.hashes.len() {
                self.take(self.hashes[index]);
            }
        } else {
            self.take(hash);
        }
    }

    fn take(&mut self, hash: i64) {
        let mask = self.taken.len() - 1;
        let mut perturb = hash as usize;
        let mut index = perturb & mask;
        loop {
            // A set looks at up to nine neighbours before it jumps.
            let run = if self.set && index + 9 <= mask { 9 } else { 0 };
            for slot in index..=index + run {
                self.steps += 1;
                if !self.taken[slot] {
                    self.taken[slot] = true;
                    return;
                }
            }
            perturb >>= 5;
            index = index.wrapping_mul(5).wrapping_add(perturb).wrapping_add(1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_keys_take_few_steps_and_equal_hashes_take_many() {
        for set in [false, true] {
            let mut honest = Probes::new(set);
            (0..10_000).for_each(|hash| honest.insert(hash));
            assert!(honest.steps < 10 * 10_000);
            let mut hostile = Probes::new(set);
            (0..10_000).for_each(|_| hostile.insert(7));
            assert!(hostile.steps > 1_000 * 10_000);
        }
    }
}
