import { basename } from 'node:path'
import { expect, test } from 'vitest'

/** A mistake of a user, and the whole message that the user gets. */
export interface Mistake {
  readonly what: string
  /** Makes the mistake. Its failure, thrown or rejected, is the message. */
  readonly make: () => unknown
  /** The lines of the error: its name and message, and each place as `  at <file>`. */
  readonly says: string
  /** Set where nobody knows the line of the user: the layer calls back from code of its own. */
  readonly isPlaceless?: boolean
}

/** Makes each mistake, and compares its message. */
export function testMistakes(file: string, mistakes: readonly Mistake[]): void {
  test.each(mistakes)('$what', async ({ make, says, isPlaceless = false }) => {
    const error = await failureOf(make)
    const text = `${error.name}: ${withPlaces(error.message)}`
    expect(text).toBe(says)
    expect(placesOf(error).includes(`at ${basename(file)}`), 'a line of the user').toBe(
      !isPlaceless,
    )
  })
}

async function failureOf(make: () => unknown): Promise<Error> {
  try {
    await make()
  } catch (error) {
    // Drizzle wraps the errors of statements
    const { cause, constructor } = error as Error
    return (constructor.name === 'DrizzleQueryError' ? cause : error) as Error
  }
  throw new Error('expected a failure')
}

/** The places in the stacks of an error and of its causes. */
function placesOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return `${withPlaces(error.stack ?? '')}\n${placesOf(error.cause)}`
}

/** Writes the lines of a stack as the files of the tests in them. The rest differs from run to run. */
function withPlaces(text: string): string {
  const lines = text.replaceAll(/(?:^ {4}at .*(?:\n|$))+/gm, (stack) => {
    const files = [...stack.matchAll(/([\w-]+\.test\.ts):\d+:\d+/g)].map(([, file]) => file)
    return [...new Set(files)].map((file) => `  at ${file}\n`).join('')
  })
  return lines.trimEnd()
}
