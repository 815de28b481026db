import { npmVersion } from 'drizzle-orm/version'
import * as kysely from 'kysely'
import { expect, inject, test } from 'vitest'

const combination = inject('combination')

test('the libraries are those that the project is named after', () => {
  expect(npmVersion).toMatch(new RegExp(`^${combination.drizzle.version}\\.`))
  // Kysely does not export its version. This came with 0.29.
  expect('isAbortedTransactionError' in kysely).toBe(combination.kysely.version === '0.29')
})
