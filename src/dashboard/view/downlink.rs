//! What devices hear and answer, in one line. Pushes are counted when they come to an end: those
//! under way are in no figure.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::theme::{Theme, short};
use crate::metrics::{PushCounts, Snapshot};

/// Whether there is something to show.
pub(super) fn is_there(snapshot: &Snapshot) -> bool {
    !snapshot.downlink.is_empty()
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let counts = &snapshot.downlink;
    let [attributes, rpc] = [&counts.attributes, &counts.rpc];
    let both = |of: fn(&PushCounts) -> u64| of(attributes).saturating_add(of(rpc));
    let (lost, refused) = (both(|pushes| pushes.lost), both(|pushes| pushes.refused));
    let bad = |label: &str, n: u64| {
        let text = format!("  {label} {}", short(n));
        Span::styled(text, theme.bad_if(n > 0))
    };
    let line = Line::from(vec![
        Span::raw(format!(
            " heard: attributes {}  calls {}",
            short(attributes.received),
            short(rpc.received),
        )),
        bad("lost", lost),
        bad("refused", refused),
        Span::raw(format!("  answers {}", short(counts.replies.acked))),
        bad("lost", counts.replies.lost),
    ]);
    frame.render_widget(line, area);
}
