// As its page "Quick start" has it: no handler for signals.
import { createServer } from 'node:http';
import { createSchema, createYoga } from 'graphql-yoga';

const yoga = createYoga({
  logging: false,
  schema: createSchema({
    typeDefs: 'type Query { hello: String, slow: String }',
    resolvers: {
      Query: {
        hello: () => `ok ${process.env.RESTARTINIT_GENERATION}`,
        slow: async () => {
          console.log('slow');
          await new Promise((done) => setTimeout(done, Number(process.env.SLOW_MS ?? 500)));
          return 'ok slow';
        },
      },
    },
  }),
});

createServer(yoga).listen(process.env.PORT);
