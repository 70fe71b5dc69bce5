export const dynamic = 'force-dynamic';

export default function Page() {
  return <p>{`ok ${process.env.RESTARTINIT_GENERATION}`}</p>;
}
