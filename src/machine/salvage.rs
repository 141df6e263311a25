//! Going on behind a refused value, for a sink that asks for it: a stand-in takes its place.

use crate::error::{Cause, Failure};
use crate::sink::{How, Sink};

use super::instance::Pending;
use super::{Machine, Slot, Step, text};

impl<'a, S: Sink<'a>> Machine<'a, '_, S> {
    /// A call, or what takes the place of a refused one.
    #[inline]
    pub(super) fn call_or_stand_in(
        &mut self,
        callable: Slot<S::Value>,
        how: How,
        args: Slot<S::Value>,
        kwargs: Option<S::Value>,
    ) -> Step<'a, S, Slot<S::Value>> {
        if !S::SALVAGE {
            return self.call(callable, how, args, kwargs);
        }
        let mut causes = vec![callable.clone(), args.clone()];
        causes.extend(kwargs.clone().map(|kwargs| Slot::Value(kwargs, 0)));
        self.call(callable, how, args, kwargs).or_else(|failure| self.stand_in(failure, causes))
    }

    /// What takes the place of a refused value; the failure itself if nothing does.
    #[cold]
    pub(super) fn stand_in(
        &mut self,
        failure: Failure<S::Error>,
        causes: Vec<Slot<S::Value>>,
    ) -> Step<'a, S, Slot<S::Value>> {
        self.stand_in_value(failure, causes).map(|value| Slot::Value(value, 1))
    }

    pub(super) fn stand_in_value(
        &mut self,
        failure: Failure<S::Error>,
        causes: Vec<Slot<S::Value>>,
    ) -> Step<'a, S, S::Value> {
        match failure.cause() {
            Cause::Pickle(error) if S::SALVAGE && error.kind().is_about_one_value() => {
                let error = error.at(self.offset(), self.reader.byte_at(self.offset()));
                let mut values = Vec::new();
                for cause in causes {
                    self.values_in(cause, &mut values);
                }
                self.sink.refused(error, &values)
            }
            Cause::Pickle(error) => Err(error.into()),
            Cause::Sink(error) => Err(Failure::sink(error)),
        }
    }

    /// The values that a slot consists of, as far as they are known.
    fn values_in(&self, slot: Slot<S::Value>, values: &mut Vec<S::Value>) {
        let mut slots = vec![slot];
        while let Some(slot) = slots.pop() {
            match slot {
                Slot::Value(value, _) | Slot::Open(value, ..) | Slot::Shared(value, ..) => values.push(value),
                Slot::Global(_) => {}
                Slot::Pending(pending) => match &self.pending[pending as usize] {
                    Pending::Args { slots: held, .. } => slots.extend(held.iter().cloned()),
                    Pending::Instance(instance) => {
                        let parts = instance.args.iter().chain(&instance.state).chain(&instance.made);
                        values.extend(parts.cloned());
                    }
                    Pending::Zone { .. } | Pending::ZoneUnpickle | Pending::Tzinfo => {}
                },
            }
        }
    }

    /// Pushes what takes the place of a refused value.
    #[cold]
    pub(super) fn push_stand_in(&mut self, failure: Failure<S::Error>) -> Step<'a, S> {
        let slot = self.stand_in(failure, Vec::new())?;
        self.stack.push(slot)?;
        Ok(())
    }

    pub(super) fn push_or_stand_in(&mut self, made: Step<'a, S, S::Value>) -> Step<'a, S> {
        match made {
            Ok(value) => self.push(value),
            Err(failure) => self.push_stand_in(failure),
        }
    }

    /// Pushes an integer of protocol 0.
    pub(super) fn push_int_text(&mut self, line: &[u8]) -> Step<'a, S> {
        let value = text::digits(line).map_err(Failure::from).and_then(|digits| self.int_text(digits));
        self.push_or_stand_in(value)
    }

    /// INST, OBJ: pushes an instance of `class` with what is above `start` as arguments.
    pub(super) fn push_instance_of(&mut self, class: Slot<S::Value>, start: usize) -> Step<'a, S> {
        let mut causes = Vec::new();
        if S::SALVAGE {
            causes.push(class.clone());
            causes.extend(self.stack.copies(start));
        }
        let made = match self.instantiate(class, start) {
            Ok(made) => made,
            Err(failure) => {
                self.stack.truncate(start);
                self.stand_in(failure, causes)?
            }
        };
        self.stack.push(made)?;
        Ok(())
    }

    /// Something pending can't become a value: its stand-in is what it is from now on.
    #[cold]
    pub(super) fn settle_refused(&mut self, failure: Failure<S::Error>, pending: u32) -> Step<'a, S, (S::Value, u16)> {
        let value = self.stand_in_value(failure, vec![Slot::Pending(pending)])?;
        match &mut self.pending[pending as usize] {
            Pending::Args { made, .. } => *made = Some((value.clone(), 1)),
            Pending::Zone { made, .. } => *made = Some(value.clone()),
            Pending::Instance(instance) => {
                instance.made = Some(value.clone());
                instance.settled = true;
            }
            Pending::ZoneUnpickle | Pending::Tzinfo => {}
        }
        Ok((value, 1))
    }

    /// A refused state: whatever holds what it was for holds something refused.
    #[cold]
    pub(super) fn spoil(&mut self, failure: Failure<S::Error>, causes: Vec<Slot<S::Value>>) -> Step<'a, S> {
        let refused = self.stand_in_value(failure, causes)?;
        let top = self.stack.len().wrapping_sub(1);
        match self.stack.copy(top) {
            Some(Slot::Value(value, _) | Slot::Open(value, ..) | Slot::Shared(value, ..)) => {
                self.sink.spoiled(&value, &refused)
            }
            Some(Slot::Pending(pending)) => {
                if let Pending::Instance(instance) = &mut self.pending[pending as usize] {
                    if let Some(made) = instance.made.replace(refused.clone()) {
                        self.sink.spoiled(&made, &refused);
                    }
                    instance.settled = true;
                } else {
                    self.stack.set(top, Slot::Value(refused, 1));
                }
            }
            _ => self.stack.set(top, Slot::Value(refused, 1)),
        }
        Ok(())
    }
}
