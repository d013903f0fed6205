//! Steps of one host that would shut each other's way in.

use super::Plan;
use crate::fault::Fault;
use crate::step::Claim;

/// A step that closes the port which another brings a way in to, or all but closes it.
pub fn shut(plan: &Plan, claims: &[(usize, Claim)], faults: &mut Vec<Fault>) {
    // Of a step that waits for what the host is, perhaps there will be none.
    let sure = |task: &usize| !plan.tasks[*task].is_late();
    for (wall, but) in claims.iter().filter_map(|(task, claim)| match claim {
        Claim::Shuts { but } if sure(task) => Some((task, but)),
        _ => None,
    }) {
        for (door, claim) in claims.iter().filter(|(task, _)| sure(task)) {
            let Claim::Door(port) = claim else { continue };
            if but.iter().any(|(from, to)| (from..=to).contains(&port)) {
                continue;
            }
            let (a, b) = (&plan.tasks[*wall].step, &plan.tasks[*door].step);
            let what = format!("`{}` would close port {port}, on which `{}` lets people in", a.id, b.id);
            let fault = Fault::new(what).at(&a.place).also(&b.place, format!("`{}` brings port {port}", b.id));
            let fault = fault.hint(format!("add {{port: {port}}} to `allow`, or say `allow_lockout: true`"));
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
    }
    for (wall, claim) in claims.iter().filter(|(task, _)| sure(task)) {
        let Claim::Slows { ports: (from, to), by } = claim else { continue };
        for (door, port) in claims.iter().filter_map(|(task, claim)| match claim {
            Claim::Door(port) if sure(task) && (from..=to).contains(&port) => Some((task, port)),
            _ => None,
        }) {
            let (a, b) = (&plan.tasks[*wall].step, &plan.tasks[*door].step);
            let what = format!("by {by} `{}` lets fewer logins in on port {port} than one run needs", a.id);
            let fault = Fault::new(what).at(&a.place).also(&b.place, format!("`{}` brings port {port}", b.id));
            let fault = fault.hint("allow 10/minute or more, or say `allow_lockout: true`");
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
    }
}
