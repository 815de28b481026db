/**
 * The progress of a frame. While it is `committing`, COMMIT or RELEASE is in flight, so it is too late
 * for a rollback.
 */
export type Phase = 'open' | 'ending' | 'committing' | EndPhase

/** The ways in which a frame ends. */
export type EndPhase = 'committed' | 'released' | 'rolled-back' | 'lost' | 'unknown'

/** The events that move a frame to another phase. Each way to end is an event, too. */
export type PhaseEvent =
  /** Its end begins. From now on only the code that the end waits for may work in it. */
  | 'end'
  /** It stays open after all: the server refused RELEASE, or ROLLBACK TO has undone its work. */
  | 'reopen'
  /** COMMIT or RELEASE is sent. */
  | 'commit'
  /** The server has not executed that COMMIT or RELEASE. */
  | 'commit-failed'
  | EndPhase

type Row = { readonly [E in PhaseEvent]?: Phase }

const ENDS: Row = {
  committed: 'committed',
  released: 'released',
  'rolled-back': 'rolled-back',
  lost: 'lost',
  unknown: 'unknown',
}

/** The phase that follows each event in each phase. An event that is not listed changes nothing. */
export const TRANSITIONS: { readonly [P in Phase]: Row } = {
  open: { ...ENDS, end: 'ending', commit: 'committing' },
  ending: { ...ENDS, reopen: 'open', commit: 'committing' },
  committing: { ...ENDS, 'commit-failed': 'ending' },
  committed: {},
  released: {},
  'rolled-back': {},
  // The connection was lost while COMMIT was in flight: its answer, or the lack of one, decides.
  lost: { committed: 'committed', 'rolled-back': 'rolled-back', unknown: 'unknown' },
  unknown: {},
}

/** Whether a frame in that phase has left the stack. */
export const ENDED: { readonly [P in Phase]: boolean } = {
  open: false,
  ending: false,
  committing: false,
  committed: true,
  released: true,
  'rolled-back': true,
  lost: true,
  unknown: true,
}
