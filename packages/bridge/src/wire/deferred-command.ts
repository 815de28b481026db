import type { Frame } from '../transaction/frame.ts'

/** A control command that is acknowledged at once, and sent in front of the next statement. */
export interface DeferredCommand {
  /** `set` narrows the savepoint that was opened just before. */
  readonly op: 'begin' | 'savepoint' | 'set' | 'release'
  readonly sql: string
  readonly frame: Frame
}

/** Whether a command opens the frame. */
export function opens(command: DeferredCommand, frame: Frame): boolean {
  return command.frame === frame && (command.op === 'begin' || command.op === 'savepoint')
}

/** Called when deferred commands are sent. Returns a function that is called when they are answered. */
export type OnDeferredSent = (
  deferred: readonly DeferredCommand[],
) => (completed: number, error?: unknown) => void
