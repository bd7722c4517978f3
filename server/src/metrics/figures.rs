//! Which figures there are, and what they mean.

use onewriter_core::{Durability, Engine, journal::Mode};
use onewriter_proto::PROTOCOL;

use super::{Others, Sources, page::Page};
use crate::process;

impl Sources {
    /// All figures as they are now, in Prometheus's text format.
    pub(super) fn render(&self) -> String {
        let mut page = Page::default();
        self.daemon(&mut page);
        self.requests(&mut page);
        mutations(&self.engine, &mut page);
        locks(&self.engine, &mut page);
        leases(&self.engine, &mut page);
        journal(&self.engine, &mut page);
        others(&self.others, &mut page);
        page.into_text()
    }

    fn daemon(&self, page: &mut Page) {
        let durability = match self.engine.durability() {
            Durability::Process => "process",
            Durability::Power => "power",
        };
        let protocol = PROTOCOL.to_string();
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("protocol", &protocol),
            ("durability", durability),
        ];
        page.gauge("onewriter_build_info", "What runs; always 1").sample(&build, 1.0);
        page.gauge("onewriter_uptime_seconds", "How long the daemon has been up")
            .is(self.lifecycle.uptime().as_secs_f64());
        page.gauge("onewriter_draining", "1 while the daemon takes no new mutations, else 0")
            .is(f64::from(u8::from(self.engine.is_draining())));
        page.gauge("onewriter_connections", "Clients that are connected")
            .is(self.lifecycle.connections() as f64);
        page.gauge("onewriter_resident_bytes", "Memory of the daemon that is in use")
            .is(process::resident_bytes() as f64);
    }

    fn requests(&self, page: &mut Page) {
        page.gauge("onewriter_requests", "Requests under way, streams among them")
            .is(self.meters.under_way() as f64);
        let help = "How long requests took that are over, from their headers to the end of the \
                    answer, by method";
        let mut family = page.histogram("onewriter_request_seconds", help);
        for (method, times) in self.meters.read() {
            family.durations(&[("method", method)], &times);
        }
    }
}

fn mutations(engine: &Engine, page: &mut Page) {
    let counts = engine.counts();
    let help = "What mutations did, by mutation and outcome, path by path";
    let mut family = page.counter("onewriter_mutations_total", help);
    for ((method, outcome), count) in &counts.mutations {
        family.sample(&[("method", method), ("outcome", outcome)], *count as f64);
    }
    let help = "Mutations that were refused, by the reason that was given";
    let mut family = page.counter("onewriter_refusals_total", help);
    for (reason, count) in &counts.refusals {
        family.sample(&[("reason", reason)], *count as f64);
    }
    page.counter("onewriter_written_bytes_total", "Bytes of content that were put in place")
        .is(counts.bytes as f64);
    page.gauge("onewriter_transactions", "Transactions under way")
        .is(engine.transactions().len() as f64);
    page.gauge("onewriter_trash", "Removed trees that are not deleted yet")
        .is(engine.trash() as f64);
    let (rounds, requests) = engine.syncs();
    page.counter("onewriter_sync_rounds_total", "Times that the disk was waited for")
        .is(rounds as f64);
    page.counter("onewriter_sync_requests_total", "Requests that shared those").is(requests as f64);
}

fn locks(engine: &Engine, page: &mut Page) {
    let counters = engine.locks().counters();
    page.gauge("onewriter_lock_holders", "Requests that hold locks on paths")
        .is(counters.holders as f64);
    page.gauge("onewriter_lock_waiters", "Requests that wait for locks on paths")
        .is(counters.waiters as f64);
    page.gauge("onewriter_waits", "Requests that wait for something to be at a path")
        .is(engine.waits() as f64);
    page.counter("onewriter_lock_acquisitions_total", "Requests that have got their locks")
        .is(counters.acquisitions as f64);
    let help = "How long requests waited for locks on paths that had to, by mutation";
    let mut family = page.histogram("onewriter_lock_wait_seconds", help);
    for (method, waits) in engine.locks().waits() {
        family.durations(&[("method", method)], &waits);
    }
}

fn leases(engine: &Engine, page: &mut Page) {
    let leases = engine.leases();
    let holders: usize = leases.iter().map(|lease| lease.holders.len()).sum();
    let waiters: usize = leases.iter().map(|lease| lease.waiters.len()).sum();
    page.gauge("onewriter_lease_holders", "Leases that are held").is(holders as f64);
    page.gauge("onewriter_lease_waiters", "Clients that wait for a lease").is(waiters as f64);
}

fn journal(engine: &Engine, page: &mut Page) {
    let (stats, mode) = (engine.journal().stats(), engine.journal().mode());
    let mode = match mode {
        Mode::Wal => "wal",
        Mode::Exclusive => "exclusive",
    };
    page.gauge("onewriter_journal_info", "How the journal is kept; always 1")
        .sample(&[("mode", mode)], 1.0);
    page.gauge("onewriter_journal_queued", "Records that are not written yet")
        .is(stats.queued as f64);
    page.gauge("onewriter_journal_lag_seconds", "The age of the oldest record that is not written")
        .is(stats.lag.as_secs_f64());
    page.gauge("onewriter_watchers", "Clients that follow the journal")
        .is(engine.journal().followers() as f64);
    page.counter("onewriter_journal_written_total", "Records that were written")
        .is(stats.written as f64);
    let help = "Records of changes that could not be written, and are lost";
    page.counter("onewriter_journal_lost_total", help).is(stats.lost as f64);
    let help = "Records of unchanged things that were left out while the queue was full";
    page.counter("onewriter_journal_dropped_total", help).is(stats.dropped_unchanged as f64);
    let help = "Attempts to write that failed; each is tried again";
    page.counter("onewriter_journal_failed_attempts_total", help).is(stats.failed_attempts as f64);
}

fn others(others: &Others, page: &mut Page) {
    let faults = others.store.as_ref().map_or(0, |store| store.faults());
    let help = "Answers of the external store that did not come, or said that it failed";
    page.counter("onewriter_store_faults_total", help).is(faults as f64);
    let (sent, lost) = others.spans.as_ref().map_or((0, 0), |spans| spans.counts());
    page.counter("onewriter_spans_sent_total", "Spans that the collector has taken")
        .is(sent as f64);
    let help = "Spans that are lost: the collector did not take them, or they were too many";
    page.counter("onewriter_spans_lost_total", help).is(lost as f64);
}
