import type { Frame } from '../transaction/frame.ts'
import { Session } from './session.ts'
import { Transactions } from './transactions.ts'

/** One physical connection with its transactions. */
export class Connection extends Session {
  /** Opens the frames of the connection, and ends them. */
  readonly transactions: Transactions = new Transactions(this)
}

/** The connection on which a frame is open, or was. */
export function connectionOf(frame: Frame): Connection {
  return frame.session as Connection
}
