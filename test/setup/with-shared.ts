import type { drizzle } from 'drizzle-orm/node-postgres'
import { type SharedConnection, shareConnection } from 'shared-connection'

export type Plain = ReturnType<typeof drizzle>

/** Shares a database while `fn` runs, then closes it. */
export async function withShared(
  orm: Plain,
  fn: (shared: SharedConnection<Plain>) => Promise<void>,
): Promise<void> {
  const shared = shareConnection(orm)
  try {
    await fn(shared)
  } finally {
    shared.dispose()
    await orm.$client.end()
  }
}
