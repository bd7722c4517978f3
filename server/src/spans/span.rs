//! One request.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use onewriter_core::{Course, Stations};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::Spans;

/// The longest method, build or target that a span tells, in bytes: peers make them up.
const TEXT_MAX: usize = 256;

/// A request that is being served; dropped, it is over.
pub(crate) struct Span {
    spans: Arc<Spans>,
    course: Arc<Course>,
    began: Instant,
    finished: Finished,
}

/// A request that is over.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    /// As in `onewriter.v1.Mutations/Touch`.
    pub(super) method: String,
    pub(super) began: SystemTime,
    pub(super) took: Duration,
    /// Who asked, if he was let in.
    pub(super) who: Option<String>,
    pub(super) stations: Stations,
    pub(super) ending: Option<Ending>,
}

/// How a request ended; one without was given up by its client.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) code: Code,
    pub(super) reason: Option<String>,
}

impl Span {
    pub(super) fn begin(
        spans: &Arc<Spans>,
        path: &str,
        trace: [u8; 16],
        id: [u8; 8],
        parent: Option<[u8; 8]>,
    ) -> Self {
        let finished = Finished {
            trace,
            id,
            parent,
            method: cut(path.strip_prefix('/').unwrap_or(path)),
            began: SystemTime::now(),
            took: Duration::ZERO,
            who: None,
            stations: Stations::default(),
            ending: None,
        };
        let (spans, course) = (Arc::clone(spans), Arc::default());
        Self { spans, course, began: Instant::now(), finished }
    }

    /// Where the core writes down what becomes of it.
    pub(crate) fn course(&self) -> Arc<Course> {
        Arc::clone(&self.course)
    }

    pub(crate) fn is_by(&mut self, who: &impl ToString) {
        self.finished.who = Some(cut(&who.to_string()));
    }

    /// Its answer is complete.
    pub(super) fn ends_as(&mut self, status: &Status) {
        let reason = status.get_details_error_info().map(|info| cut(&info.reason));
        self.finished.ending = Some(Ending { code: status.code(), reason });
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let mut stations = self.course.stations();
        (stations.build, stations.target) = (cut(&stations.build), cut(&stations.target));
        let took = self.began.elapsed();
        self.spans.end(Finished { stations, took, ..self.finished.clone() });
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_MAX)].to_owned()
}
