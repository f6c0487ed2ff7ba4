//! Retention of the audit log.

use crate::Fixture;
use krt_model::team::AuditAction;
use krt_registry::{Actor, AuditEntry, AuditFilter, AuditRetention};
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

impl Fixture {
    fn entries(&self) -> Vec<AuditEntry> {
        self.registry.audit(&AuditFilter::default(), usize::MAX).unwrap()
    }

    fn note(&self, action: AuditAction, count: usize) {
        for number in 0..count {
            self.registry.record(&Actor::user("eve"), action, &format!("user number {number}")).unwrap();
        }
    }

    fn prune(&self, age: Duration, size: u64) -> usize {
        self.registry.prune_audit(AuditRetention { age, size }).unwrap()
    }
}

fn count(entries: &[AuditEntry], action: AuditAction) -> usize {
    entries.iter().filter(|entry| entry.action == action).count()
}

#[test]
fn recent_entries_within_the_size_stay() {
    let fixture = Fixture::new();
    fixture.note(AuditAction::SignedIn, 10);
    let before = fixture.entries();
    assert_eq!(fixture.prune(YEAR, 1 << 20), 0);
    assert_eq!(fixture.entries(), before);
}

#[test]
fn the_deletion_of_old_entries_is_recorded() {
    let fixture = Fixture::new();
    fixture.note(AuditAction::SignedIn, 9);
    let before = fixture.entries().len();
    assert_eq!(fixture.prune(Duration::ZERO, 1 << 20), before);
    let entries = fixture.entries();
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!((entries[0].action, &*entries[0].login), (AuditAction::AuditPruned, "krt"));
    assert!(entries[0].comment.starts_with(&format!("{before} entries from before ")), "{entries:?}");
}

#[test]
fn failed_sign_ins_displace_no_other_entries() {
    let fixture = Fixture::new();
    fixture.note(AuditAction::UserChanged, 20);
    fixture.note(AuditAction::SignInFailed, 2_000);
    let before = fixture.entries();
    let deleted = fixture.prune(YEAR, 64 << 10);
    let entries = fixture.entries();
    assert_eq!(entries.len(), before.len() - deleted + 1);
    assert_eq!(count(&entries, AuditAction::UserChanged), 20);
    let failed = count(&entries, AuditAction::SignInFailed);
    assert!((50..500).contains(&failed), "{failed}");
    // The newest entries are kept.
    assert_eq!(entries[1].subject.as_deref(), Some("user number 1999"));
    // A second pruning finds nothing to remove.
    assert_eq!(fixture.prune(YEAR, 64 << 10), 0);

    fixture.note(AuditAction::UserChanged, 2_000);
    fixture.prune(YEAR, 64 << 10);
    let entries = fixture.entries();
    assert!((100..1_000).contains(&count(&entries, AuditAction::UserChanged)), "{}", entries.len());
}
