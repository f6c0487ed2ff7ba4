use super::*;
use proptest::prelude::*;

use Ask::{Delete, Publish, Start, Stop, Unpublish};
use State::{Created, Error, Published, Started, Starting, Stopped, Stopping};

#[test]
fn allowed_actions() {
    let rows: [(State, &[(Ask, State)]); 7] = [
        (Created, &[(Start, Starting), (Delete, Created)]),
        (Starting, &[(Stop, Stopping)]),
        (Started, &[(Stop, Stopping), (Publish, Published)]),
        (Published, &[(Unpublish, Started)]),
        (Stopping, &[]),
        (Stopped, &[(Start, Starting), (Delete, Stopped)]),
        (Error, &[(Start, Starting), (Delete, Error)]),
    ];
    for (state, allowed) in rows {
        let status = VersionStatus { state, wanted: Wanted::Stopped };
        for &ask in Ask::ALL {
            let expected = allowed.iter().find(|(allowed, _)| *allowed == ask).map(|(_, next)| *next);
            let got = status.ask(ask).map(|next| next.state);
            assert_eq!(got, expected.ok_or(Refused { ask, state }), "{state} {ask}");
        }
    }
}

#[test]
fn transitions_by_event() {
    let at = VersionStatus::new;
    let rows = [
        (at(Starting, Wanted::Started), Event::Ready, at(Started, Wanted::Started)),
        (at(Starting, Wanted::Published), Event::Ready, at(Published, Wanted::Published)),
        (at(Stopping, Wanted::Stopped), Event::Ready, at(Stopping, Wanted::Stopped)),
        (at(Starting, Wanted::Published), Event::Failed, at(Error, Wanted::Stopped)),
        (at(Stopping, Wanted::Stopped), Event::Failed, at(Stopping, Wanted::Stopped)),
        (at(Stopping, Wanted::Stopped), Event::Ended, at(Stopped, Wanted::Stopped)),
        (at(Published, Wanted::Published), Event::Replaced, at(Started, Wanted::Started)),
        (at(Starting, Wanted::Published), Event::Replaced, at(Starting, Wanted::Started)),
        (at(Stopped, Wanted::Stopped), Event::Replaced, at(Stopped, Wanted::Stopped)),
        (at(Started, Wanted::Started), Event::RolledBack, at(Published, Wanted::Published)),
        (at(Stopped, Wanted::Stopped), Event::RolledBack, at(Starting, Wanted::Published)),
        (at(Published, Wanted::Published), Event::Boot, at(Starting, Wanted::Published)),
        (at(Started, Wanted::Started), Event::Boot, at(Starting, Wanted::Started)),
        (at(Stopping, Wanted::Stopped), Event::Boot, at(Stopped, Wanted::Stopped)),
        (at(Error, Wanted::Stopped), Event::Boot, at(Error, Wanted::Stopped)),
        (at(Created, Wanted::Stopped), Event::Boot, at(Created, Wanted::Stopped)),
    ];
    for (before, event, after) in rows {
        assert_eq!(before.on(event), after, "{before:?} {event:?}");
    }
}

#[test]
fn refusals_have_a_hint() {
    let refused = VersionStatus { state: Stopped, wanted: Wanted::Stopped }.ask(Publish).unwrap_err();
    assert_eq!(refused.to_string(), "cannot publish a version that is STOPPED\nhint: start it first");
    let refused = VersionStatus { state: Created, wanted: Wanted::Stopped }.ask(Unpublish).unwrap_err();
    assert_eq!(refused.to_string(), "cannot unpublish a version that is CREATED");
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask(Ask),
    Event(Event),
}

fn step() -> impl Strategy<Value = Step> {
    let asks = proptest::sample::select(Ask::ALL).prop_map(Step::Ask);
    let events = [Event::Ready, Event::Failed, Event::Ended, Event::Replaced, Event::RolledBack, Event::Boot];
    prop_oneof![asks, proptest::sample::select(events.to_vec()).prop_map(Step::Event)]
}

proptest! {
    /// State and wanted state agree after any sequence of actions and events.
    #[test]
    fn state_and_wanted_state_agree(steps in proptest::collection::vec(step(), 0..50)) {
        let mut status = VersionStatus::NEW;
        for step in steps {
            status = match step {
                Step::Ask(ask) => status.ask(ask).unwrap_or(status),
                Step::Event(event) => status.on(event),
            };
            let agrees = match status.state {
                Created | Stopping | Stopped | Error => status.wanted == Wanted::Stopped,
                Starting => status.wanted != Wanted::Stopped,
                Started => status.wanted == Wanted::Started,
                Published => status.wanted == Wanted::Published,
            };
            prop_assert!(agrees, "{:?}", status);
        }
    }

    /// After a boot, no version counts as running.
    #[test]
    fn a_boot_leaves_nothing_running(state in proptest::sample::select(State::ALL)) {
        let wanted = match state {
            Starting | Started => Wanted::Started,
            Published => Wanted::Published,
            _ => Wanted::Stopped,
        };
        let after = VersionStatus { state, wanted }.on(Event::Boot).state;
        prop_assert!(!matches!(after, Started | Published | Stopping));
    }
}
