//! What the provider remembers from one launch to the next.
//!
//! What could not be had is not asked for again for three minutes; of subnets the addresses that launches are about to
//! take are counted; of reservations the instances that are left. EC2 is asked anew from time to time, which replaces the
//! counts: whoever keeps a [`Memory`] does that with [`Memory::set_free_addresses`] and [`Memory::set_reservation`].
//!
//! In Karpenter an offering comes back when the cache is next cleaned, which is up to ten seconds after the three
//! minutes; here it comes back at once.

use super::fleet::CapacityType;
use crate::model::meta::Str;
use std::collections::{BTreeMap, BTreeSet};

/// How long what could not be had is not asked for again.
pub const UNAVAILABLE_NANOS: i64 = 180 * 1_000_000_000;

/// An offering that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnavailableOffering {
    /// Capacity type.
    pub capacity_type: CapacityType,
    /// Instance type.
    pub instance_type: Str,
    /// Zone.
    pub zone: Str,
    /// The placement group in which it could not be had; empty: outside of any.
    pub placement_group: Str,
    /// The partition that was asked for; empty: none. Such an entry is written but never looked for.
    pub partition: Str,
}

impl std::fmt::Display for UnavailableOffering {
    /// `CAPACITY-TYPE:TYPE:ZONE[:PLACEMENT-GROUP[:PARTITION]]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.capacity_type.as_str(), self.instance_type, self.zone)?;
        for scope in [&self.placement_group, &self.partition] {
            if scope.is_empty() {
                break;
            }
            write!(f, ":{scope}")?;
        }
        Ok(())
    }
}

/// The memory of the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// By instance type: what could not be had, and until when that counts.
    offerings: BTreeMap<Str, BTreeMap<UnavailableOffering, i64>>,
    capacity_types: BTreeMap<CapacityType, i64>,
    subnets: BTreeMap<Str, i64>,
    /// Free addresses of subnets as EC2 told them.
    free_addresses: BTreeMap<Str, i64>,
    /// The same less what launches since then are expected to take; where there is none, nothing was launched since.
    tracked_addresses: BTreeMap<Str, i64>,
    reservations: BTreeMap<Str, i64>,
}

impl Memory {
    /// Notes at `now_nanos` that an offering could not be had. Tells whether that is news.
    pub fn mark_offering(&mut self, offering: UnavailableOffering, now_nanos: i64) -> bool {
        let of_type = self.offerings.entry(offering.instance_type.clone()).or_default();
        news(of_type.insert(offering, until(now_nanos)), now_nanos)
    }

    /// Notes that a capacity type cannot be had at all. Tells whether that is news.
    pub fn mark_capacity_type(&mut self, capacity_type: CapacityType, now_nanos: i64) -> bool {
        news(self.capacity_types.insert(capacity_type, until(now_nanos)), now_nanos)
    }

    /// Notes that a subnet has no addresses left. Tells whether that is news.
    pub fn mark_subnet(&mut self, subnet: Str, now_nanos: i64) -> bool {
        news(self.subnets.insert(subnet, until(now_nanos)), now_nanos)
    }

    /// Whether what is asked for was not to be had lately: in this placement group or outside of any, this capacity type,
    /// or all of the zone's subnets.
    pub(super) fn is_unavailable(
        &self,
        capacity_type: CapacityType,
        instance_type: &str,
        zone: &str,
        subnets: &[Str],
        placement_group: Option<&str>,
        now_nanos: i64,
    ) -> bool {
        let holds = |until: &i64| now_nanos <= *until;
        let offering = self.offerings.get(instance_type).is_some_and(|of_type| {
            of_type.iter().any(|(entry, until)| {
                entry.capacity_type == capacity_type
                    && entry.zone == zone
                    && entry.partition.is_empty()
                    && (entry.placement_group.is_empty()
                        || placement_group.is_some_and(|group| entry.placement_group == group))
                    && holds(until)
            })
        });
        offering
            || self.capacity_types.get(&capacity_type).is_some_and(holds)
            || (!subnets.is_empty()
                && subnets.iter().all(|subnet| self.subnets.get(subnet).is_some_and(holds)))
    }

    /// Forgets what has expired, and so keeps the memory small.
    pub fn forget_expired(&mut self, now_nanos: i64) {
        let holds = |until: &i64| now_nanos <= *until;
        for of_type in self.offerings.values_mut() {
            of_type.retain(|_, until| holds(until));
        }
        self.offerings.retain(|_, of_type| !of_type.is_empty());
        self.capacity_types.retain(|_, until| holds(until));
        self.subnets.retain(|_, until| holds(until));
    }

    /// What EC2 tells of the free addresses of a subnet. Expectations end with it.
    pub fn set_free_addresses(&mut self, subnet: Str, free: i64) {
        self.tracked_addresses.remove(&subnet);
        self.free_addresses.insert(subnet, free);
    }

    /// The free addresses of a subnet as EC2 told them; 0 if it never did.
    pub(super) fn told_addresses(&self, subnet: &str) -> i64 {
        self.free_addresses.get(subnet).copied().unwrap_or(0)
    }

    /// The same less what is expected to be taken; `None` if nothing is.
    pub(super) fn tracked_addresses(&self, subnet: &str) -> Option<i64> {
        self.tracked_addresses.get(subnet).copied()
    }

    /// The addresses that a launch can count on: it may be less than none.
    pub fn free_addresses(&self, subnet: &str) -> i64 {
        self.tracked_addresses(subnet).unwrap_or_else(|| self.told_addresses(subnet))
    }

    /// Expects that a launch takes so many addresses.
    pub(super) fn take_addresses(&mut self, subnet: &Str, count: i64) {
        let left = self.free_addresses(subnet).saturating_sub(count);
        self.tracked_addresses.insert(subnet.clone(), left);
    }

    /// Does not expect that any more. Where EC2 has told another number since, or never any, nothing is given back.
    pub(super) fn give_back_addresses(&mut self, subnet: &Str, told_at_launch: i64, count: i64) {
        let told = self.free_addresses.get(subnet);
        if told == Some(&told_at_launch)
            && let Some(left) = self.tracked_addresses.get_mut(subnet)
        {
            *left = left.saturating_add(count);
        }
    }

    /// What EC2 tells of the instances that a reservation has left.
    pub fn set_reservation(&mut self, reservation: Str, free: i64) {
        self.reservations.insert(reservation, free);
    }

    /// The instances that a reservation has left; 0 if nobody knows.
    pub fn reservation(&self, reservation: &str) -> i64 {
        self.reservations.get(reservation).copied().unwrap_or(0)
    }

    /// All reservations of which a number is known.
    pub fn reservations(&self) -> &BTreeMap<Str, i64> {
        &self.reservations
    }

    /// An instance was launched into a reservation.
    pub fn launched_into(&mut self, reservation: &str) {
        if let Some(free) = self.reservations.get_mut(reservation)
            && *free != 0
        {
            *free -= 1;
        }
    }

    /// An instance of a reservation is gone.
    pub fn terminated_in(&mut self, reservation: &str) {
        if let Some(free) = self.reservations.get_mut(reservation) {
            *free += 1;
        }
    }

    /// Reservations have turned out to be used up.
    pub(super) fn use_up(&mut self, reservations: &BTreeSet<Str>) {
        for reservation in reservations {
            if let Some(free) = self.reservations.get_mut(reservation) {
                *free = 0;
            }
        }
    }
}

fn until(now_nanos: i64) -> i64 {
    now_nanos.saturating_add(UNAVAILABLE_NANOS)
}

/// Whether an entry was not there before, or had expired.
fn news(before: Option<i64>, now_nanos: i64) -> bool {
    before.is_none_or(|until| now_nanos > until)
}

#[cfg(test)]
mod tests {
    use super::{CapacityType, Memory, UNAVAILABLE_NANOS, UnavailableOffering};
    use crate::model::meta::Str;

    fn spot(placement_group: &str, partition: &str) -> UnavailableOffering {
        UnavailableOffering {
            capacity_type: CapacityType::Spot,
            instance_type: "m5.large".into(),
            zone: "us-west-2a".into(),
            placement_group: placement_group.into(),
            partition: partition.into(),
        }
    }

    fn unavailable(memory: &Memory, group: Option<&str>, subnets: &[Str], now_nanos: i64) -> bool {
        memory.is_unavailable(CapacityType::Spot, "m5.large", "us-west-2a", subnets, group, now_nanos)
    }

    #[test]
    fn three_minutes_from_the_last_time() {
        let mut memory = Memory::default();
        assert!(memory.mark_offering(spot("", ""), 0));
        assert!(!memory.mark_offering(spot("", ""), 60_000_000_000));
        let end = 60_000_000_000 + UNAVAILABLE_NANOS;
        assert!(unavailable(&memory, None, &[], end));
        assert!(!unavailable(&memory, None, &[], end + 1));
        assert!(memory.mark_offering(spot("", ""), end + 1), "it had expired");
        memory.forget_expired(i64::MAX);
        assert_eq!(memory, Memory::default());
    }

    #[test]
    fn an_entry_of_a_group_holds_in_that_group_alone_and_one_of_a_partition_nowhere() {
        let mut memory = Memory::default();
        memory.mark_offering(spot("pg-1", ""), 0);
        assert!(!unavailable(&memory, None, &[], 0));
        assert!(!unavailable(&memory, Some("pg-2"), &[], 0));
        assert!(unavailable(&memory, Some("pg-1"), &[], 0));
        let mut memory = Memory::default();
        memory.mark_offering(spot("pg-1", "2"), 0);
        assert!(!unavailable(&memory, Some("pg-1"), &[], 0));
        let mut memory = Memory::default();
        memory.mark_offering(spot("", ""), 0);
        assert!(unavailable(&memory, Some("pg-1"), &[], 0));
    }

    #[test]
    fn a_zone_goes_with_the_last_of_its_subnets() {
        let mut memory = Memory::default();
        let subnets: [Str; 2] = ["subnet-1".into(), "subnet-2".into()];
        memory.mark_subnet("subnet-1".into(), 0);
        assert!(!unavailable(&memory, None, &subnets, 0));
        assert!(!unavailable(&memory, None, &[], 0), "no subnets: the zone itself is not the type's");
        memory.mark_subnet("subnet-2".into(), 0);
        assert!(unavailable(&memory, None, &subnets, 0));
    }

    #[test]
    fn addresses_are_given_back_unless_ec2_has_told_another_number() {
        let mut memory = Memory::default();
        let subnet: Str = "subnet-1".into();
        memory.set_free_addresses(subnet.clone(), 10);
        memory.take_addresses(&subnet, 29);
        assert_eq!(memory.free_addresses(&subnet), -19);
        memory.give_back_addresses(&subnet, 10, 29);
        assert_eq!(memory.free_addresses(&subnet), 10);
        memory.take_addresses(&subnet, 4);
        memory.set_free_addresses(subnet.clone(), 8);
        memory.give_back_addresses(&subnet, 10, 4);
        assert_eq!(memory.free_addresses(&subnet), 8);
    }

    #[test]
    fn a_reservation_counts_down_to_nothing() {
        let mut memory = Memory::default();
        memory.set_reservation("cr-1".into(), 1);
        memory.launched_into("cr-1");
        memory.launched_into("cr-1");
        memory.launched_into("cr-2");
        assert_eq!((memory.reservation("cr-1"), memory.reservation("cr-2")), (0, 0));
        memory.terminated_in("cr-1");
        assert_eq!(memory.reservation("cr-1"), 1);
    }
}
