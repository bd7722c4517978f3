//! `onewriter top`: what happens in a build root, as it happens.

mod frame;
mod screen;

use std::time::{Duration, Instant};

use onewriter_proto::v1::{StatisticsRequest, StatisticsResponse, StatusRequest, StatusResponse};

use self::{
    frame::{Rates, Seen},
    screen::{Key, Screen},
};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    process::{Ending, Interruptions, Wanted},
    session::Session,
};

pub(super) const VERB: Verb = Verb {
    name: "top",
    about: "Show what runs, who holds, who waits, and how much is done, as it happens",
    details: "\
'q' ends it. It starts no daemon, and waits for one where none runs. For programs there is
'onewriter status --json'.",
    operands: "",
    count: (0, 0),
    options: &[
        Opt::value('d', "delay", "SECONDS", "Look again after so long [default: 1]"),
        Opt::flag('\0', "once", "Print it once, with all lines, and end"),
    ],
    common: COMMON,
    run,
};

/// How long to wait for a daemon that does not answer: keys and signals wait as well.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a key or a signal may go unnoticed.
const ATTENTION: Duration = Duration::from_millis(50);

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let delay = delay(given.text("delay")?)?;
    if context.is_json() {
        return Err(Failure::Usage("top has no JSON: 'onewriter status --json' has".into()));
    }
    if given.has("once") {
        let now = look(context)?;
        let lines = frame::lines(now.as_ref(), None, 80, usize::MAX);
        return lines.into_iter().try_for_each(|line| context.output.line(line));
    }
    let Some(mut screen) = Screen::open() else {
        let why = "standard input and output are no terminal: 'onewriter top --once' needs none";
        return Err(Failure::Usage(why.into()));
    };
    let interruptions = Interruptions::new();
    // The terminal is in order again before anything else is said.
    let watched = watch(context, &mut screen, &interruptions, delay);
    drop(screen);
    context.ending = watched?;
    Ok(())
}

fn delay(text: Option<&str>) -> Result<Duration, Failure> {
    let Some(text) = text else { return Ok(Duration::from_secs(1)) };
    let seconds = text.parse::<f64>().ok().filter(|s| (0.05..=3600.0).contains(s));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        Failure::Usage(format!("a delay is a number of seconds from 0.05 to 3600, not '{text}'"))
    })
}

/// One look at the daemon; `None` where none runs.
fn look(context: &Context) -> Result<Option<Seen>, Failure> {
    let server = context.server()?;
    let mut session = Session::new(&server, context.timeout()?.min(PATIENCE), false);
    let status: Option<StatusResponse> =
        session.unary_if_running("/onewriter.v1.Administration/Status", &StatusRequest {})?;
    let Some(status) = status else { return Ok(None) };
    let statistics: Option<StatisticsResponse> = session
        .unary_if_running("/onewriter.v1.Administration/Statistics", &StatisticsRequest {})?;
    Ok(statistics.map(|statistics| Seen { status, statistics, at: Instant::now() }))
}

/// Until somebody wants an end; how the process is to end.
fn watch(
    context: &Context,
    screen: &mut Screen,
    interruptions: &Interruptions,
    delay: Duration,
) -> Result<Ending, Failure> {
    let mut before = None;
    loop {
        let now = look(context)?;
        let rates = before.as_ref().zip(now.as_ref()).and_then(|(a, b)| Rates::between(a, b));
        let next = Instant::now() + delay;
        let mut size = None;
        loop {
            // Also when the terminal has another size.
            if size.replace(screen.size()) != Some(screen.size()) {
                let (columns, rows) = screen.size();
                screen.show(&frame::lines(now.as_ref(), rates.as_ref(), columns, rows))?;
            }
            match interruptions.wanted() {
                Some(Wanted::End(signal)) => return Ok(Ending::Signal(signal)),
                Some(Wanted::Stop) => {
                    screen.leave();
                    interruptions.stop();
                    screen.enter();
                    size = None;
                }
                None => {}
            }
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match screen.key(left.min(ATTENTION)) {
                Some(Key::Quit) => return Ok(Ending::Exit(0)),
                Some(Key::Redraw) => size = None,
                None => {}
            }
        }
        before = now;
    }
}
