"""The words by which a first or last sentence is known for a command, a greeting or a sign-off; English."""


def _read_words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


VERBS = _read_words("""
    add ask avoid be become begin believe book boost breathe bring browse build burn buy call carry
    catch celebrate challenge change charge check choose clean click climb combine come conquer contact
    cook cool create cut dance dare defy deliver dig discover dive download draw dream dress drink drive
    earn eat elevate embark embrace embody enhance enjoy ensure enter equip escape experience explore
    express fall feel fill find finish fit fly follow forget free fuel gear get gift give glide go grab
    grow guard hang harness have head hear help hike hit hold illuminate imagine improve indulge invest
    join jump keep kick know lace laugh lay lead learn leave let lift light listen live load look lose
    love make master maximise maximize measure meet melt miss mix move navigate need notice open order
    pack pair pass pay pedal pick plan play please power prepare press protect pull push put raise reach
    read ready redefine register relax release remember request rest ride rise roll run save say scan
    secure see select send serve set settle shake share shine ship shop show sign simplify sip sit sleep
    slide slip slow smell smile snap soak spend spoil spread stand start stay step stop store stretch
    style surprise surround swap switch tackle take tame taste tell think throw tie toast touch track
    trade train transform travel treat trust try turn unleash unlock unwind update upgrade use visit
    wait wake walk warm wash watch wear welcome win work wrap write zip
""")
"""What brands open with, in the form of a command."""
LEADS = _read_words("please just simply always never now don't do not let's")
"""May stand before a command: "Just add water", "Please call us"."""
NOT_AFTER_COMMAND = _read_words("is are was were has had will can of and or")
"""After these the word before was no command: "Love is …", "Experience has …"."""
BEFORE_OBJECT = _read_words("your the a an every this these those")
NO_VERBS = _read_words("""
    a about above across after against all along also although among an and another any are as at
    because been before behind below beneath beside between beyond both but by can could despite did do
    does down during each either even every few for from had half has have he her here his how i if in
    inside into is it its like made many may might more most much my near neither no nor not of off on
    once only onto or our out outside over past per quite rather she should since some such than that
    their then there these they this those though through throughout till to today too toward towards
    under unless until up upon was we were what whatever when whenever where wherever whether which
    while who whose why will with within without would yes yet you
""")
GREETINGS = _read_words("hi hello hey dear welcome thanks thank greetings sorry congratulations good")
SIGN_OFFS = _read_words(
    "thanks thank cheers regards best yours sincerely warmly love kind warm see xoxo team"
)
