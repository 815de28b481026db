import { Session } from './session.ts'
import { Transactions } from './transactions.ts'

/** One physical connection with its transactions. */
export class Connection extends Session {
  /** Opens the frames of the connection, and ends them. */
  readonly transactions: Transactions = new Transactions(this)
}
