// What a program makes of its databases, and exports without a type of its own.

import { CamelCasePlugin } from 'kysely'
import { db } from './readme.js'

export const shared = db.shared
export const inSchema = db.withSchema('app')
export const camel = db.withPlugin(new CamelCasePlugin())
export const plain = db.withoutPlugins()
export const wider = db.withTables<{ reply: { body: string } }>()
export const builder = db.transaction()
export const controlled = db.startTransaction()
export const connection = db.connection()
export const trx = await controlled.execute()
export const marked = await trx.savepoint('mark').execute()
export const back = await marked.rollbackToSavepoint('mark').execute()
export const state = shared.current
export const frame = shared.of(trx)
export const tx = shared.drizzleFor(trx)
export const made = shared.kysely()
export const handle = shared.kyselyFor(tx)
export const hook = db.afterCommit

export const nested = () => db.transaction().execute(async (inner) => inner.withSchema('app'))
export const block = () => shared.transaction(async (context) => context)
export const maybe = () => shared.transaction((context) => context, { propagation: 'supports' })
export const batch = () => shared.batch([db.selectFrom('profiles').selectAll()])
export const client = () => shared.withClient((borrowed) => borrowed)

export class Repository {
  constructor(readonly inside = trx) {}

  scoped() {
    return this.inside.withSchema('app').shared
  }
}
