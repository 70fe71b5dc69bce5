// Syntax that Node itself does not strip: an enum.
import express, { type Request, type Response } from 'express';

enum State {
  Well = 'ok',
}

const app = express();
app.get('/', (_: Request, response: Response) => response.type('text').send(`${State.Well} ${process.env.RESTARTINIT_GENERATION}`));
app.get('/slow', (_: Request, response: Response) => {
  console.log('slow');
  setTimeout(() => response.type('text').send('ok slow'), Number(process.env.SLOW_MS ?? 500));
});
app.listen(Number(process.env.PORT));
