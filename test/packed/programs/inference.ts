import type { drizzle } from 'drizzle-orm/node-postgres'
import type { ControlledTransaction, Kysely, Transaction } from 'kysely'
import type {
  SharedControlledTransaction,
  SharedKysely,
  SharedTransaction,
} from 'shared-connection'

type Orm = ReturnType<typeof drizzle>

interface OneTable {
  note: { id: number; text: string }
}
type OneTableAlias = { note: { id: number; text: string } }
interface TwoTables {
  note: { id: number; text: string }
  reply: { body: string }
}
type TwoTablesAlias = { note: { id: number; text: string }; reply: { body: string } }

declare function ofKysely<D>(db: Kysely<D>): D
declare function ofTransaction<D>(trx: Transaction<D>): D
declare function ofControlled<D, S extends string[]>(trx: ControlledTransaction<D, S>): [D, S]
declare function withNotes<D>(db: Kysely<D & OneTable>): Promise<void>

// eslint-disable-next-line typescript/no-unnecessary-type-parameters -- T tells any from every other type
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function exactly<Expected>(): <Actual>(actual: Actual, same: Same<Actual, Expected>) => void

// A generic helper finds out which tables there are.
export function helpers(
  one: SharedKysely<OneTable, Orm>,
  oneAlias: SharedKysely<OneTableAlias, Orm>,
  two: SharedKysely<TwoTables, Orm>,
  twoAlias: SharedKysely<TwoTablesAlias, Orm>,
): void {
  exactly<OneTable>()(ofKysely(one), true)
  exactly<OneTableAlias>()(ofKysely(oneAlias), true)
  exactly<TwoTables>()(ofKysely(two), true)
  exactly<TwoTablesAlias>()(ofKysely(twoAlias), true)
  exactly<TwoTables>()(ofKysely(two.withSchema('app')), true)
  // @ts-expect-error the comparison tells one from the other
  exactly<OneTable>()(ofKysely(two), true)
  void withNotes(two)
}

export function inTransaction(
  one: SharedTransaction<OneTable, Orm>,
  oneAlias: SharedTransaction<OneTableAlias, Orm>,
  two: SharedTransaction<TwoTables, Orm>,
  twoAlias: SharedTransaction<TwoTablesAlias, Orm>,
  controlled: SharedControlledTransaction<OneTableAlias, ['mark']>,
): void {
  exactly<OneTable>()(ofTransaction(one), true)
  exactly<OneTableAlias>()(ofTransaction(oneAlias), true)
  exactly<TwoTables>()(ofTransaction(two), true)
  exactly<TwoTablesAlias>()(ofTransaction(twoAlias), true)
  exactly<[OneTableAlias, ['mark']]>()(ofControlled(controlled), true)
}

// Calls are what they are without a helper, also on a union.
export async function calls(
  db: SharedKysely<TwoTables, Orm>,
  either: SharedKysely<TwoTables, Orm> | SharedTransaction<TwoTables, Orm> | Kysely<TwoTables>,
): Promise<void> {
  exactly<{ text: string }[]>()(await db.selectFrom('note').select('text').execute(), true)
  exactly<{ text: string }[]>()(await either.selectFrom('note').select('text').execute(), true)
  await either.deleteFrom(['note', 'reply']).using('note').execute()
  await either.updateTable('note').set({ text: 'new' }).where('id', '=', 1).execute()
  // @ts-expect-error there is no such table
  db.selectFrom('missing')
  // @ts-expect-error there is no such table
  db.deleteFrom('missing')
  // @ts-expect-error there is no such table
  db.updateTable('missing')
}
