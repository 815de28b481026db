// Runs before each test file of the project `pgbouncer`.

import { basename } from 'node:path'
import { beforeAll, beforeEach, inject } from 'vitest'
import type { RunnerTask } from 'vitest'
import { impossible } from './impossible.ts'

const pgBouncer = inject('pgBouncer')

beforeEach(({ skip, task }) => {
  if (typeof pgBouncer === 'object') skip(pgBouncer.missing)
  const entry = impossible.find(({ tests }) => tests[basename(task.file.name)]?.includes(task.name))
  if (entry) skip(entry.reason)
})

// Otherwise a renamed test would run, and a removed one would stay on the list for ever.
// oxlint-disable-next-line no-empty-pattern -- Vitest reads it to know what the hook wants
beforeAll(({}, file) => {
  const names = new Set(namesIn(file.tasks))
  for (const { tests } of impossible) {
    for (const name of tests[basename(file.name)] ?? []) {
      if (!names.has(name)) throw new Error(`there is no test '${name}' in ${file.name}`)
    }
  }
})

function namesIn(tasks: readonly RunnerTask[]): string[] {
  return tasks.flatMap((task) => (task.type === 'suite' ? namesIn(task.tasks) : [task.name]))
}
